"""Processes on this machine: pinned to a core, their CPU time and memory as the kernel counts."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

#: Servers run on one core, Redis and the load generator on the other.
SERVER_CORE = 0
LOAD_CORE = 1
ROOT = Path(__file__).parent.parent


class Server:
    """A contestant's process on the servers' core.

    Args:
        command: what to run; environ: on top of ours, without any ``BRIDGE_*`` of ours.
        port: where it will listen.
        core: the core that it is pinned to.
    """

    def __init__(
        self, command: Sequence[str], port: int, core: int = SERVER_CORE, **environ: str
    ) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
        self.port = port
        self.process = subprocess.Popen(
            command,
            env={**kept, "PYTHONPATH": str(ROOT), **environ},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            stdout=subprocess.DEVNULL,
            stderr=None if os.environ.get("BENCH_LOG") else subprocess.DEVNULL,
        )
        wait_until(lambda: self._listens(), f"{command[:3]} on port {port}")

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu(self) -> float:
        """Seconds of CPU that the process has used, in all its threads."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def resident(self) -> int:
        """Bytes of memory that are its own: what it shares with others does not count."""
        return int(psutil.Process(self.pid).memory_full_info().uss)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def _listens(self) -> bool:
        if self.process.poll() is not None:
            raise SystemExit(f"a server ended: {self.process.args}; BENCH_LOG=1 shows why")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"waited {seconds} s in vain for {what}")
        time.sleep(0.01)


@contextlib.contextmanager
def private_redis() -> Iterator[str]:
    """A redis-server for this run only, beside the load generator; its URL."""
    if shutil.which("redis-server") is None:
        raise SystemExit("the benchmarks need a redis-server: apt-get install redis-server")
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        server = Server(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
             "--client-output-buffer-limit", "pubsub", "0", "0", "0", "--dir", folder],
            port, LOAD_CORE,
        )  # fmt: skip
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.stop()


def kernel_socket_bytes() -> int:
    """Bytes that the kernel holds for TCP sockets on this machine."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            words = line.split()
            return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGE_SIZE")
    raise SystemExit("/proc/net/sockstat tells nothing of TCP")


def pin_load() -> None:
    """Pin this process, which makes the load, to its core."""
    os.sched_setaffinity(0, {LOAD_CORE})
