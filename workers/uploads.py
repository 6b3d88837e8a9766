"""Where uploaded files lie between the web node that takes them and the task that reads them.

A message carries an upload's name and never a path, so whoever can write to the queue can't make
a worker read, or delete, any other file.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "DEMO_UPLOADS"
NAME = re.compile(r"[0-9a-f]{32}")


def uploads_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of uploads: DEMO_UPLOADS, else one of this user's in the temp folder."""
    default = Path(tempfile.gettempdir()) / f"celery-bridge-uploads-{os.getuid()}"
    return Path(environ.get(VARIABLE) or default)


@contextmanager
def taken(names: Sequence[str], environ: Mapping[str, str] = os.environ) -> Iterator[list[Path]]:
    """Hand out uploaded files and delete them when the job is done with them.

    They are deleted however the job ends. A worker that is killed leaves them for the next run.

    Args:
        names: the names that the web node gave to the files, 32 hexadecimal digits each.
        environ: where DEMO_UPLOADS is read.

    Raises:
        ValueError: something is not the name of an upload.
        FileNotFoundError: the file is not there (any more).
    """
    if not isinstance(names, list | tuple):
        raise ValueError(f"uploads={names!r}: a list of names of uploads is needed")
    for name in names:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ValueError(f"upload={name!r}: 32 hexadecimal digits are needed")
    paths = [uploads_folder(environ) / name for name in names]
    try:
        for path in paths:
            if not path.is_file():
                raise FileNotFoundError(f"upload {path.name} is not there; upload it again")
        yield paths
    finally:
        for path in paths:
            path.unlink(missing_ok=True)
