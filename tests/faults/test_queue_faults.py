"""The matrix, column Queue: a Redis that goes, comes back, forgets, refuses and lies."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from bridge import Job
from tests.conftest import wait_until
from tests.faults.cell import Cell
from tests.faults.clients import Recorder
from tests.faults.conftest import CHOSEN
from tests.faults.proxy import Proxy
from tests.faults.stack import SERVERS, Stack, running_stack

pytestmark = [pytest.mark.redis, pytest.mark.e2e, pytest.mark.usefixtures("worker")]


@pytest.fixture(scope="module", params=CHOSEN)
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A queue that keeps what it has over a restart."""
    folder = tmp_path_factory.mktemp("queue")
    options = ("--appendonly", "yes")
    with running_stack(folder, SERVERS[request.param], redis_options=options) as made:
        yield made


@pytest.fixture
def queue(cell: Cell) -> Iterator[Redis]:
    """For commands to the queue, past all wires."""
    client = cell.stack.queue.client
    yield client
    client.close()


def under_way(cell: Cell, count: int = 60, task: str = "steps", *args: Any) -> Job:
    """A job in the middle of its steps, watched on both nodes."""
    job = cell.start(task, count, *args)
    recorders = [
        *cell.watch(job, "python", "raw", node=0),
        *cell.watch(job, "node", "widget", node=1),
    ]
    for recorder in recorders:
        recorder.wait_current(5)
    return job


def recorders_of(cell: Cell, job: Job) -> list[Recorder]:
    return [recorder for recorder in cell.stack.recorders if recorder.job == job.id]


def listeners(queue: Redis) -> set[str]:
    return {each["id"] for each in queue.client_list(_type="pubsub")}


def queue_wires(cell: Cell) -> list[Any]:
    return [cell.stack.worker_wire, *cell.stack.node_wires]


@pytest.mark.cell("Queue", "restart")
def test_restart(cell: Cell) -> None:
    job = under_way(cell)
    cell.stack.queue.stop()
    cell.stack.queue.start()
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Queue", "restart with data lost")
def test_restart_with_data_lost(cell: Cell) -> None:
    job = under_way(cell, 100)

    def stored() -> dict[str, Any]:
        return cell.stack.stored(job.id).snapshot or {"run": 0}

    before = stored()
    lose_data(cell)
    # Who submitted it may be the first to speak, and knows of no run.
    wait_until(lambda: stored()["run"] > 0)
    rebuilt = stored()
    assert rebuilt["rev"] > before["rev"]
    assert rebuilt["epoch"] > before["epoch"]
    assert rebuilt["run"] >= before["run"]
    cell.settle(job, journal_lost=True)
    # By the epoch its watchers know that the events before are gone.
    assert all(recorder.history.gaps for recorder in recorders_of(cell, job))


def lose_data(cell: Cell) -> None:
    """Restart the queue without what it had written down."""
    cell.stack.queue.stop()
    for kept in cell.stack.folder.glob("append*"):
        shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
    cell.stack.queue.start()
    cell.fault_over()


@pytest.mark.cell("Queue", "restart with data lost after the end, the worker idle")
def test_restart_with_data_lost_after_the_end(cell: Cell) -> None:
    job = cell.start("steps", 10)
    for recorder in cell.watch(job, "python", "node", "widget"):
        recorder.wait_for("SUCCESS")
    cell.hold(1.5, 5)  # the worker has seen that the journal has the end, and has nothing to do
    lose_data(cell)
    wait_until(
        lambda: (cell.stack.stored(job.id).snapshot or {}).get("state") == "SUCCESS",
        what="the end to be told again",
    )
    cell.watch(job, "raw", "widget", node=1)
    cell.settle(job, journal_lost=True)


@pytest.mark.cell("Queue", "stopped for 60 s")
def test_stopped(cell: Cell) -> None:
    job = under_way(cell, 1300 if cell.long else 100)
    cell.stack.queue.stop()
    cell.hold(3, 60)
    cell.stack.queue.start()
    cell.fault_over()
    cell.settle(job, seconds=60)


@pytest.mark.cell("Queue", "stopped over the end of the job")
def test_stopped_over_the_end(cell: Cell) -> None:
    job = under_way(cell, 25)
    cell.stack.queue.stop()
    wait_until(lambda: cell.stack.truth(job.id).final is not None)
    cell.hold(0, 60)
    cell.stack.queue.start()
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Queue", "black-holed for 60 s")
def test_black_holed(cell: Cell) -> None:
    job = under_way(cell, 1300 if cell.long else 130)
    for wire in queue_wires(cell):
        wire.black_hole()
    cell.hold(4, 60)
    for wire in queue_wires(cell):
        wire.heal()
    cell.fault_over()
    cell.settle(job, seconds=60)


@pytest.mark.cell("Queue", "the worker's connection half closed, again and again")
def test_half_closed_to_the_worker(cell: Cell) -> None:
    half_close(cell, cell.stack.worker_wire)


@pytest.mark.cell("Queue", "the nodes' connections half closed, again and again")
def test_half_closed_to_the_nodes(cell: Cell) -> None:
    half_close(cell, *cell.stack.node_wires)


def half_close(cell: Cell, *wires: Proxy) -> None:
    """Nothing comes any more, and the other side still listens."""
    job = under_way(cell, 80)
    for current in (15, 30, 45):
        for wire in wires:
            wire.half_close()
        for recorder in recorders_of(cell, job):
            recorder.wait_current(current)
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Queue", "slow: 200 ms a round trip")
def test_slow(cell: Cell) -> None:
    for wire in queue_wires(cell):
        wire.delay(up=0.1, down=0.1)
    job = under_way(cell, 60)
    cell.settle(job)


@pytest.mark.cell("Queue", "out of memory (maxmemory, noeviction)")
def test_out_of_memory(cell: Cell, queue: Redis) -> None:
    job = under_way(cell, 100)
    queue.config_set("maxmemory", "1")
    cell.hold(2, 60)
    with pytest.raises(RedisError):
        queue.set("anything", "more")
    queue.config_set("maxmemory", "0")
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Queue", "script cache flushed, again and again")
def test_scripts_flushed(cell: Cell, queue: Redis) -> None:
    job = under_way(cell, 40)
    while cell.stack.truth(job.id).final is None:
        queue.script_flush()
        time.sleep(0.05)
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Queue", "replies to publications lost, which are tried again")
def test_replies_lost(cell: Cell) -> None:
    job = under_way(cell, 60, "steps", 0.05, 1)
    wire, before = cell.stack.worker_wire, cell.stack.worker_wire.lost_replies
    for times in range(1, 6):
        wire.lose_reply(b"EVALSHA")
        wait_until(lambda wanted=before + times: wire.lost_replies >= wanted)
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Queue", "listeners killed by their output buffer's limit")
def test_listeners_beyond_their_buffer(cell: Cell, queue: Redis) -> None:
    known = queue.config_get("client-output-buffer-limit")["client-output-buffer-limit"]
    job = under_way(cell, 60, "bulky", 40_000, 0.05)
    before = listeners(queue)
    queue.config_set("client-output-buffer-limit", "pubsub 1 0 0")
    wait_until(lambda: before - listeners(queue), what="a listener to be killed")
    queue.config_set("client-output-buffer-limit", known)
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Queue", "listeners killed (CLIENT KILL TYPE pubsub)")
def test_listeners_killed(cell: Cell, queue: Redis) -> None:
    job = under_way(cell, 60)
    for _ in range(5):
        queue.client_kill_filter(_type="pubsub")
        time.sleep(0.2)
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Queue", "password changed, and put back")
def test_password_changed(cell: Cell, queue: Redis) -> None:
    job = under_way(cell, 100)
    queue.config_set("requirepass", "another")
    for kind in ("pubsub", "normal"):
        queue.client_kill_filter(_type=kind, skipme=True)
    cell.hold(2, 60)
    queue.config_set("requirepass", "")
    cell.fault_over()
    cell.settle(job)
