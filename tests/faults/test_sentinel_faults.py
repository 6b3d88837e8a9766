"""The matrix, column Queue: a failover by Sentinel to a replica that lacks the last writes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bridge.errors import QueueUnavailable
from bridge.journal import RedisJournal
from tests.conftest import RedisServer, free_port, wait_until
from tests.faults.cell import Cell
from tests.faults.proxy import Proxy
from tests.faults.stack import Stack, running_stack

pytestmark = [pytest.mark.redis, pytest.mark.e2e, pytest.mark.usefixtures("worker")]

SENTINEL = """
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor mymaster 127.0.0.1 {master} 1
sentinel down-after-milliseconds mymaster 500
sentinel failover-timeout mymaster 3000
"""


class Watched(RedisServer):
    """A master, its replica, and a sentinel that watches over them."""

    sentinel_port: ClassVar[int]

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, *options)
        (folder / "replica").mkdir()
        self.replica = RedisServer(folder / "replica")
        self.follow(self.port)
        config = folder / "sentinel.conf"
        config.write_text(SENTINEL.format(port=self.sentinel_port, folder=folder, master=self.port))
        self.sentinel = subprocess.Popen(
            [self.program, str(config), "--sentinel"], stdout=subprocess.DEVNULL
        )
        wait_until(
            lambda: str(self.replica.port) in self._ask("replicas"), what="the sentinel to know it"
        )

    def follow(self, port: int) -> None:
        """Let the replica follow its master by way of a port."""
        client: Any = self.replica.client
        client.replicaof("127.0.0.1", port)
        wait_until(lambda: client.info("replication").get("master_link_status") == "up")
        client.close()

    def die(self) -> None:
        """The master alone."""
        super().stop()

    def stop(self) -> None:
        super().stop()
        self.sentinel.kill()
        self.sentinel.wait()
        self.replica.stop()

    def _ask(self, about: str) -> str:
        return subprocess.run(
            ["redis-cli", "-p", str(self.sentinel_port), "sentinel", about, "mymaster"],
            capture_output=True, text=True,
        ).stdout  # fmt: skip


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    Watched.sentinel_port = free_port()
    url = f"redis+sentinel://127.0.0.1:{Watched.sentinel_port}/0/mymaster"
    with running_stack(tmp_path, Watched, message_queue=url) as made:
        yield made


@pytest.fixture
def worker(stack: Stack) -> object:
    return stack.start_worker()


def is_found(journal: RedisJournal) -> bool:
    try:
        journal.ping()
    except QueueUnavailable:
        return False
    return True


@pytest.mark.cell("Queue", "failover with Sentinel, the new master lacks the last writes")
def test_failover(cell: Cell) -> None:
    queue = cell.stack.queue
    assert isinstance(queue, Watched)
    job = cell.start("steps", 150)
    recorders = [*cell.watch(job, "python", "raw", node=0), *cell.watch(job, "node", node=1)]
    wire = Proxy(queue.port)
    queue.follow(wire.port)
    wire.black_hole()
    behind = recorders[0].current
    for recorder in recorders:
        recorder.wait_current(behind + 10)

    queue.die()
    wire.close()
    wait_until(lambda: is_found(cell.stack.journal), what="the sentinel to hand out the new master")
    cell.fault_over()

    cell.settle(job, journal_lost=True)
    # What was told and then forgotten shows as a break.
    assert all(recorder.history.gaps for recorder in recorders)
