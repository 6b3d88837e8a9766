"""Leases: the sign that a worker process lives.

The process that executes jobs renews its own lease from its sender thread. A call that holds the
GIL, or an event loop that is blocked, stops that thread though nothing died; so somebody else
vouches for it as well: in a prefork worker the parent, elsewhere a small process of its own (see
`bridge.sender.pulse`). Both need to name the lease of a process that can't answer, hence it is made
of what the system knows of a process.
"""

from __future__ import annotations

import hashlib
import os
import socket
from functools import lru_cache
from pathlib import Path
from typing import Final

#: A lease is renewed this many times before it would run out.
RENEWALS: Final = 3
_PROC: Final = Path("/proc")


def lease_of(pid: int) -> str | None:
    """Return the name of the lease of a process on this machine; None if it does not live.

    The name tells the process from later ones with its number, and from those of other machines
    and containers. A process that has died and was not waited for yet does not live.
    """
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, started = fields[0], fields[19]
    if state in "ZX":
        return None
    return hashlib.sha256(f"{_machine()} {pid} {started}".encode()).hexdigest()[:24]


def own_lease() -> str:
    """Return the name of this process's lease."""
    return lease_of(os.getpid()) or f"{_machine()}-{os.getpid()}"


@lru_cache(maxsize=1)
def _machine() -> str:
    parts = [socket.gethostname()]
    for name in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            parts.append(os.readlink(name) if name.endswith("pid") else Path(name).read_text())
        except OSError:
            parts.append("")
    return " ".join(parts)
