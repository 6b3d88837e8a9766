"""Result backends of Celery: a Redis, a file of SQLite's, and a PostgreSQL of our own."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.conftest import free_port, wait_until

#: Debian puts the programs of each version aside, and only a wrapper in PATH.
DEBIAN = Path("/usr/lib/postgresql")
BACKENDS = ("redis", "sqlite", "postgresql")


def program(name: str) -> str | None:
    """Where a program of PostgreSQL's is: the newest of Debian's, else the one in PATH."""
    versions = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(versions[-1]) if versions else shutil.which(name)


class Postgres:
    """A private PostgreSQL. It refuses to be root, so that another user runs it then."""

    def __init__(self) -> None:
        self.port = free_port()
        # Not below pytest's folders, which are for one user only.
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
        self._user: dict[str, object] = {}
        if os.geteuid() == 0:
            known = {user.pw_name for user in pwd.getpwall()}
            name = "postgres" if "postgres" in known else "nobody"
            group = grp.getgrgid(pwd.getpwnam(name).pw_gid).gr_name
            shutil.chown(self.folder, name, group)
            self._user = {"user": name, "group": group, "extra_groups": []}
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust",
                  "--no-sync", "--no-instructions")  # fmt: skip
        self.process = subprocess.Popen(
            [str(program("postgres")), "-D", str(self.folder / "data"), "-p", str(self.port),
             "-h", "127.0.0.1", "-k", str(self.folder), "-c", "fsync=off"],
            cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._user,
        )  # type: ignore[call-overload]  # fmt: skip
        wait_until(self._answers, what="postgres")

    @property
    def url(self) -> str:
        """The URL of a result backend in it."""
        return f"db+postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def stop(self) -> None:
        """End it, with all its processes, and remove what it wrote."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        assert self.process.poll() is None, "postgres ended"
        words = [str(program("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(words, cwd="/", check=False).returncode == 0

    def _run(self, name: str, *words: str) -> None:
        subprocess.run(
            [str(program(name)), *words], cwd=self.folder, check=True, capture_output=True,
            **self._user,
        )  # type: ignore[call-overload]  # fmt: skip


def backend_url(name: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of one of `BACKENDS`."""
    if name == "sqlite":
        return f"db+sqlite:///{folder}/results.db"
    if name == "postgresql":
        return str(request.getfixturevalue("shared_postgres").url)
    return f"redis://127.0.0.1:{request.getfixturevalue('shared_redis').port}/3"
