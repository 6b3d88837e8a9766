"""A wall clock of its own for some processes, which a cell sets right or wrong at any moment."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

from tests.conftest import missing

_SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """Shifts the wall clock of the processes that are started with its `environ`.

    Args:
        folder: for its files.
        name: whose it is.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / f"{name}.clock"
        self._file.write_bytes(struct.pack("<q", 0))
        self.environ = {
            "LD_PRELOAD": str(_library(folder)),
            "FAULTS_CLOCK": str(self._file),
        }

    def shift(self, seconds: int) -> None:
        """Let it go wrong by so many seconds from now on; 0 sets it right."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("<q", seconds))


def _library(folder: Path) -> Path:
    library = folder / "clock.so"
    if not library.exists():
        compiler = shutil.which("cc")
        if compiler is None:
            missing("A C compiler", "apt-get install gcc libc6-dev")
        assert compiler is not None
        options = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror"]
        subprocess.run([compiler, *options, "-o", library, _SOURCE], check=True)
    return library
