"""The matrix, column Queue: a failover by Sentinel to a replica that lacks the last writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.errors import QueueUnavailable
from bridge.journal import RedisJournal
from tests.conftest import free_port, wait_until
from tests.faults.cell import Cell
from tests.faults.proxy import Proxy
from tests.faults.stack import Stack, running_stack
from tests.redis_servers import Watched, sentinel_url

pytestmark = [pytest.mark.redis, pytest.mark.e2e, pytest.mark.usefixtures("worker")]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    port = free_port()
    server = type("WatchedThere", (Watched,), {"sentinel_port": port})
    with running_stack(tmp_path, server, message_queue=sentinel_url(port)) as made:
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
