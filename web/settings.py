"""Settings of the demo itself; those of the bridge are `bridge.settings.Settings`."""

from __future__ import annotations

import os
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import SettingsError

MAX_UPLOAD_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class DemoSettings:
    """Settings of the demo's web node.

    Attributes:
        folders: which folders may be hashed; the first is the default.
        uploads: where uploaded files wait for their job.
        max_upload_bytes: how large the body of an upload may be, all files together.
        accounts: whether people may sign in to the demo's accounts, whose passwords are no secret.
    """

    folders: tuple[str, ...]
    uploads: Path
    max_upload_bytes: int = MAX_UPLOAD_BYTES
    accounts: bool = False

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> DemoSettings:
        """Read DEMO_FOLDERS, DEMO_UPLOADS and DEMO_ACCOUNTS.

        Args:
            environ: where they are read.

        Raises:
            SettingsError: a folder is not absolute, or DEMO_ACCOUNTS is neither true nor false.
        """
        folders = [str(Path(sysconfig.get_path("stdlib")).resolve())]
        for entry in filter(None, environ.get("DEMO_FOLDERS", "").split(os.pathsep)):
            # Whether they exist is for the workers to say: they may run on another machine.
            if not Path(entry).is_absolute():
                raise SettingsError("DEMO_FOLDERS", entry, "absolute paths are needed")
            folders.append(entry)
        default = Path(tempfile.gettempdir()) / f"celery-bridge-uploads-{os.getuid()}"
        uploads = Path(environ.get("DEMO_UPLOADS") or default)
        if not uploads.is_absolute():
            raise SettingsError("DEMO_UPLOADS", str(uploads), "an absolute path is needed")
        accounts = environ.get("DEMO_ACCOUNTS") or "false"
        if accounts not in ("true", "false"):
            raise SettingsError("DEMO_ACCOUNTS", accounts, "true or false is needed")
        return cls(tuple(dict.fromkeys(folders)), uploads, accounts=accounts == "true")
