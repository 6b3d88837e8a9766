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
from typing import Any

from celery.signals import task_failure, task_postrun, task_revoked
from celery.states import REJECTED, RETRY

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
        if not _is_name(name):
            raise ValueError(f"upload={name!r}: 32 hexadecimal digits are needed")
    paths = [uploads_folder(environ) / name for name in names]
    try:
        for path in paths:
            if not path.is_file() or path.is_symlink():
                raise FileNotFoundError(f"upload {path.name} is not there; upload it again")
        yield paths
    finally:
        _delete(paths)


@task_postrun.connect
def delete_after_run(kwargs: object = None, state: str | None = None, **_: Any) -> None:
    """Delete what a task never took: it was cancelled in the queue, or failed before it could."""
    if state not in (RETRY, REJECTED):
        _delete_of(kwargs)


@task_failure.connect
def delete_after_failure(kwargs: object = None, **_: Any) -> None:
    """Delete what a task left behind that was killed and won't run again."""
    _delete_of(kwargs)


@task_revoked.connect
def delete_after_revoke(request: Any = None, **_: Any) -> None:
    """Delete what a task that Celery's revoke stopped will never read."""
    _delete_of(getattr(request, "kwargs", None))


def _delete_of(kwargs: object) -> None:
    """Delete the uploads that a task's arguments name; other tasks' arguments name none."""
    given: Mapping[str, Any] = kwargs if isinstance(kwargs, dict) else {}
    several = given.get("uploads")
    names = [given.get("upload"), *(several if isinstance(several, list | tuple) else ())]
    _delete([uploads_folder() / name for name in names if _is_name(name)])


def _is_name(name: object) -> bool:
    return isinstance(name, str) and NAME.fullmatch(name) is not None


def _delete(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
