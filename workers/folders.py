"""Which folders the checksum task may read: the standard library, and those in DEMO_FOLDERS."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "DEMO_FOLDERS"


def standard_library() -> Path:
    """Return the folder of Python's standard library."""
    return Path(sysconfig.get_path("stdlib")).resolve()


def allowed_folders(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return the folders that may be read, the standard library first.

    Args:
        environ: where DEMO_FOLDERS is read: absolute paths with ``:`` between them.

    Raises:
        ValueError: an entry is not an absolute path of a folder.
    """
    folders = [standard_library()]
    for entry in filter(None, environ.get(VARIABLE, "").split(os.pathsep)):
        path = Path(entry)
        if not path.is_absolute() or not path.is_dir():
            raise ValueError(f"{VARIABLE}: {entry!r} is not the absolute path of a folder")
        folders.append(path.resolve())
    return tuple(dict.fromkeys(folders))


def allowed_folder(name: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of this name if it may be read.

    Args:
        name: an entry of the allow-list; None or empty: the standard library.
        environ: where DEMO_FOLDERS is read.

    Raises:
        ValueError: the folder is not on the allow-list.
    """
    if name is not None and not isinstance(name, str):
        raise ValueError(f"folder={name!r}: the path of a folder, as text, is needed")
    folders = allowed_folders(environ)
    if not name:
        return folders[0]
    # Compared as it is written and as it resolves, so that neither `..` nor a link leads out.
    for folder in folders:
        if "\0" not in name and Path(name).resolve() == folder:
            return folder
    raise ValueError(f"folder={name!r} is not on the list; add it to {VARIABLE} to allow it")
