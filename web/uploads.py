"""Uploaded files: they wait in a private folder, under random names, for the job that reads them.

The worker deletes them when their job has ended, however it ended. Those whose job never came to
a worker are swept away here after six hours.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from werkzeug.datastructures import FileStorage

from bridge.errors import BadRequest, TooMany, Unavailable
from web.fields import shown

KEPT_SECONDS = 6 * 60 * 60
SWEEP_SECONDS = 10 * 60
MAX_WAITING_BYTES = 1024 * 1024 * 1024
MAX_NAME_LENGTH = 200
NAME = re.compile(r"[0-9a-f]{32}")

_log = logging.getLogger(__name__)


class Uploads:
    """The folder of uploaded files.

    Args:
        folder: where they lie; it is made, private, where it isn't there.
        max_waiting_bytes: how much may wait there before further uploads are refused.
    """

    def __init__(self, folder: Path, max_waiting_bytes: int = MAX_WAITING_BYTES) -> None:
        self._folder = folder
        self._max_waiting_bytes = max_waiting_bytes

    def save(self, file: FileStorage) -> tuple[str, str]:
        """Keep an uploaded file.

        Returns:
            The random name under which it lies, and its own name, fit to be shown.

        Raises:
            BadRequest: it has no name, or nothing in it.
            TooMany: too much waits already.
            Unavailable: the folder is not ours alone.
        """
        title = displayed(file.filename)
        self._prepare()
        name = secrets.token_hex(16)
        path = self._folder / name
        try:
            # The form's parser has put all but small files on the disk; this copies by chunks.
            with open(path, "xb", opener=_open_private) as kept:
                file.save(kept)
                size = kept.tell()
            if size == 0:
                raise BadRequest(f"file {shown(title)} is empty: choose one with something in it")
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return name, title

    def discard(self, names: list[str]) -> None:
        """Delete files that no job will read.

        Args:
            names: what `save` returned.
        """
        for name in names:
            (self._folder / name).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete files whose job never ran, for instance because the queue was emptied."""
        oldest = time.time() - KEPT_SECONDS
        for path, status in self._waiting():
            if status.st_mtime < oldest:
                path.unlink(missing_ok=True)

    def sweep_regularly(self, seconds: float = SWEEP_SECONDS) -> threading.Event:
        """Sweep now, and again and again in the background.

        Args:
            seconds: from one time to the next.

        Returns:
            What ends it when it is set.
        """
        ended = threading.Event()
        threading.Thread(target=self._sweep_until, args=(ended, seconds), daemon=True).start()
        return ended

    def _sweep_until(self, ended: threading.Event, seconds: float) -> None:
        while True:
            try:
                self.sweep()
            except OSError as error:
                _log.warning("old uploads could not be deleted: %s", error)
            if ended.wait(seconds):
                return

    def _prepare(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self._folder.lstat()
        # In a temp folder that all share, somebody else may have been there first.
        ours = stat.S_ISDIR(status.st_mode) and status.st_uid in (os.geteuid(), 0)
        if not ours or status.st_mode & stat.S_IWOTH:
            _log.error("DEMO_UPLOADS: %s is not a folder of this user alone", self._folder)
            raise Unavailable("uploads are not possible just now: the node's log says why")
        if sum(status.st_size for _, status in self._waiting()) >= self._max_waiting_bytes:
            raise TooMany("too many uploaded files wait for their jobs: try again later")

    def _waiting(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Yield the uploads with what the disk says of them; other files are none of ours."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            try:
                status = path.lstat()
            except OSError:
                continue  # Its job was quicker.
            if NAME.fullmatch(path.name) and not stat.S_ISDIR(status.st_mode):
                yield path, status


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


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
