"""The matrix, column Time: clocks that are wrong, and clocks that jump."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import pytest
import requests

from tests.faults.cell import Cell
from tests.faults.clock import Clock
from tests.faults.conftest import CHOSEN
from tests.faults.stack import SERVERS, Stack, running_stack

pytestmark = [pytest.mark.redis, pytest.mark.e2e]

FIVE_MINUTES = 300
JUMPS = pytest.mark.parametrize("seconds", [FIVE_MINUTES, -FIVE_MINUTES], ids=["ahead", "back"])


@dataclass
class Clocks:
    """The clocks of the three kinds of processes."""

    worker: Clock
    node: Clock
    queue: Clock

    def right(self) -> None:
        for clock in (self.worker, self.node, self.queue):
            clock.shift(0)


@pytest.fixture(scope="module")
def all_clocks(tmp_path_factory: pytest.TempPathFactory) -> Clocks:
    folder = tmp_path_factory.mktemp("clocks")
    return Clocks(*(Clock(folder, name) for name in ("worker", "node", "queue")))


@pytest.fixture
def clocks(all_clocks: Clocks) -> Iterator[Clocks]:
    yield all_clocks
    all_clocks.right()


@pytest.fixture(scope="module", params=CHOSEN)
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, all_clocks: Clocks
) -> Iterator[Stack]:
    """A stack of which the queue, the nodes and one worker have clocks of their own."""
    server = type("Clocked", (SERVERS[request.param],), {"environ": all_clocks.queue.environ})
    folder = tmp_path_factory.mktemp("faults")
    with running_stack(folder, server, node_environ=all_clocks.node.environ) as made:
        made.start_worker(**all_clocks.worker.environ)
        yield made


@pytest.mark.cell("Time", "the worker's clock is 5 minutes ahead, or behind")
@JUMPS
def test_the_workers_clock_is_wrong(cell: Cell, clocks: Clocks, seconds: int) -> None:
    clocks.worker.shift(seconds)
    job = cell.start("steps", 20)
    cell.watch(job)
    (found,) = cell.settle(job)
    ended = found.stored.snapshot["ended_at"]  # type: ignore[index]
    assert abs(ended - time.time() - seconds) < 60, "the clock was wrong"


@pytest.mark.cell("Time", "the worker's clock jumps in mid-job, there and back")
@JUMPS
def test_the_workers_clock_jumps(cell: Cell, clocks: Clocks, seconds: int) -> None:
    job = cell.start("steps", 50)
    recorders = cell.watch(job)
    for current, shift in ((10, seconds), (25, 0)):
        recorders[0].wait_current(current)
        clocks.worker.shift(shift)
    cell.fault_over()
    cell.settle(job)
    for recorder in recorders:
        states = [state for _, state in recorder.history.shown]
        assert all((state["rate"] or 0) >= 0 <= (state["eta"] or 0) for state in states)


@pytest.mark.cell("Time", "the node's clock is 5 minutes ahead, or behind")
@JUMPS
def test_the_nodes_clock_is_wrong(cell: Cell, clocks: Clocks, seconds: int) -> None:
    """Tokens come from elsewhere: one that was made in the node's future is as good."""
    clocks.node.shift(seconds)
    said = requests.get(cell.stack.url() + "/healthz", timeout=30).headers["Date"]
    assert abs(parsedate_to_datetime(said).timestamp() - time.time() - seconds) < 60
    job = cell.start("steps", 20)
    cell.watch(job)
    cell.settle(job)


@pytest.mark.cell("Time", "the node's clock jumps in mid-job, there and back")
@JUMPS
def test_the_nodes_clock_jumps(cell: Cell, clocks: Clocks, seconds: int) -> None:
    job = cell.start("steps", 50)
    recorders = cell.watch(job)
    for current, shift in ((10, seconds), (25, 0)):
        recorders[0].wait_current(current)
        clocks.node.shift(shift)
    cell.fault_over()
    cell.settle(job)
    assert all(len(recorder.heard("connect")) == 1 for recorder in recorders)


@pytest.mark.cell("Time", "Redis' clock jumps in mid-job, there and back")
@JUMPS
def test_the_clock_of_redis_jumps(cell: Cell, clocks: Clocks, seconds: int) -> None:
    """Every lease runs out, or stands too long; numbers made of this clock must go on rising."""
    job = cell.start("steps", 90)
    recorders = cell.watch(job)
    for current, shift in ((10, seconds), (50, 0)):
        recorders[0].wait_current(current)
        clocks.queue.shift(shift)
        with cell.stack.queue.client as client:
            assert abs(client.time()[0] - time.time() - shift) < 60
    cell.fault_over()
    cell.settle(job)
