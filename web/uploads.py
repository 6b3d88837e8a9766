"""Uploaded files: they wait in a private folder, under random names, for the job that reads them.

The job deletes its files. Those whose job never ran are swept away here after six hours.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from werkzeug.datastructures import FileStorage

from bridge.errors import BadRequest
from web.fields import shown

KEPT_SECONDS = 6 * 60 * 60
MAX_NAME_LENGTH = 200


class Uploads:
    """The folder of uploaded files.

    Args:
        folder: where they lie; it is made, private, where it isn't there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, file: FileStorage) -> tuple[str, str]:
        """Keep an uploaded file.

        Returns:
            The random name under which it lies, and its own name, fit to be shown.

        Raises:
            BadRequest: it has no name, or nothing in it.
        """
        title = displayed(file.filename)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = secrets.token_hex(16)
        path = self._folder / name
        try:
            file.save(path)
            if path.stat().st_size == 0:
                raise BadRequest(f"file {shown(title)} is empty: choose one with something in it")
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        path.chmod(0o600)
        return name, title

    def discard(self, names: list[str]) -> None:
        """Delete files that no job will read.

        Args:
            names: what `save` returned.
        """
        for name in names:
            (self._folder / name).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete files whose job never ran, for instance because it was revoked in the queue."""
        if not self._folder.is_dir():
            return
        oldest = time.time() - KEPT_SECONDS
        for path in self._folder.iterdir():
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink()
            except OSError:
                continue  # Its job was quicker.


def displayed(filename: str | None) -> str:
    """Return a file's own name, fit to be shown: no folders, no control characters, not long.

    Raises:
        BadRequest: there is none.
    """
    last = (filename or "").replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(c for c in last if c.isprintable()).strip()
    if not name:
        raise BadRequest("file has no name: choose a file, e.g. curl -F file=@rows.csv")
    return name[:MAX_NAME_LENGTH]
