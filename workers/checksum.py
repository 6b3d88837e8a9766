"""Hash every file of a folder: a long job on real data, in two stages, measured in bytes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge import Progress, push_progress
from workers.app import app
from workers.folders import allowed_folder, standard_library

CHUNK_BYTES = 1 << 18
MAX_FILES = 500_000
LISTING_SHARE = 0.02
# They lie in the standard library's folder and are no part of it.
NOT_THE_LIBRARY = frozenset({"__pycache__", "site-packages", "dist-packages"})


@app.task(name="workers.checksum_folder")
@push_progress(unit="B", result=True)
def checksum_folder(folder: str | None = None, *, progress: Progress) -> dict[str, Any]:
    """Hash every regular file of a folder and return one digest of them all.

    Args:
        folder: a folder on the allow-list; None: Python's standard library.
        progress: given by the bridge.

    Returns:
        ``{folder, files, bytes, unreadable, digest}``.

    Raises:
        ValueError: the folder is not allowed, or holds more than 500,000 files.
    """
    root = allowed_folder(folder)
    with progress.stage("Listing", weight=LISTING_SHARE) as listing:
        files: list[tuple[Path, int]] = []
        for path, size in list_files(root):
            files.append((path, size))
            listing.advance(size)
    progress.update(total=sum(size for _, size in files))
    return {"folder": str(root), **hash_files(root, files, progress)}


def list_files(root: Path) -> Iterator[tuple[Path, int]]:
    """Yield every regular file below a folder with its size in bytes, in a stable order.

    Links are not followed, so nothing outside the folder is read.

    Raises:
        ValueError: there are more than 500,000 files.
    """
    skipped = NOT_THE_LIBRARY if root == standard_library() else frozenset()
    count = 0
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(set(subfolders) - skipped)
        for name in sorted(names):
            path = Path(folder, name)
            try:
                status = path.lstat()
            except OSError:
                continue  # It went away while we looked.
            if not stat.S_ISREG(status.st_mode):
                continue
            count += 1
            if count > MAX_FILES:
                raise ValueError(
                    f"{root} holds more than {MAX_FILES:,} files: choose a smaller one"
                )
            yield path, status.st_size


def hash_files(root: Path, files: list[tuple[Path, int]], progress: Progress) -> dict[str, Any]:
    """Hash the files one after the other.

    Args:
        root: the folder; names count relative to it.
        files: what `list_files` found.
        progress: gets a stage that moves on by the bytes that are done.

    Returns:
        ``{files, bytes, unreadable, digest}``; the digest covers each name and content.
    """
    whole = hashlib.sha256()
    done, unreadable = 0, 0
    with progress.stage("Hashing") as hashing:
        hashing.update(current=0, total=sum(size for _, size in files))
        for path, size in files:
            name = str(path.relative_to(root))
            hashing.update(message=printable(name))
            digest, read = hashlib.sha256(), 0
            try:
                for chunk in chunks(path):
                    digest.update(chunk)
                    read += len(chunk)
                    # A log that grows while it is read must not push the bar past its end.
                    hashing.update(current=done + min(read, size))
            except OSError:
                unreadable += 1
            else:
                whole.update(os.fsencode(name) + b"\0" + digest.digest())
            done += size
            hashing.update(current=done)
        hashing.update(message=f"{len(files) - unreadable:,} files hashed")
    return {
        "files": len(files) - unreadable,
        "bytes": done,
        "unreadable": unreadable,
        "digest": f"sha256:{whole.hexdigest()}",
    }


def chunks(path: Path) -> Iterator[bytes]:
    """Yield the content of a file."""
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def printable(name: str) -> str:
    """Return a file name that is fit for JSON: bytes that are no UTF-8 become question marks."""
    return os.fsencode(name).decode("utf-8", "replace")
