"""The matrix, column Web node: nodes that die, hang, are replaced, or go deaf."""

from __future__ import annotations

import os
import signal

import pytest
import requests

from bridge import Job
from tests.conftest import wait_until
from tests.faults.cell import Cell
from tests.nodes import Node

pytestmark = [pytest.mark.redis, pytest.mark.e2e, pytest.mark.usefixtures("worker")]


def under_way(cell: Cell, count: int = 60) -> Job:
    """A job in the middle of its steps, watched on both nodes."""
    job = cell.start("steps", count)
    recorders = [
        *cell.watch(job, "python", "node", "widget", node=0), *cell.watch(job, "raw", node=1)
    ]  # fmt: skip
    for recorder in recorders:
        recorder.wait_current(5)
    return job


def readiness(node: Node) -> tuple[int, dict[str, dict[str, bool]]]:
    answer = requests.get(f"{node.url}/readyz", timeout=30)
    return answer.status_code, answer.json()


@pytest.mark.cell("Web node", "kill -9 and restart")
def test_killed(cell: Cell) -> None:
    job = under_way(cell, 120)
    cell.stack.nodes[0].stop(signal.SIGKILL)
    cell.hold(1, 30)
    cell.stack.nodes[0] = cell.stack.start_node(0)
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Web node", "killed over the end of the job")
def test_killed_over_the_end(cell: Cell) -> None:
    job = under_way(cell, 30)
    cell.stack.nodes[0].stop(signal.SIGKILL)
    wait_until(lambda: cell.stack.truth(job.id).final is not None)
    cell.stack.nodes[0] = cell.stack.start_node(0)
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Web node", "rolling restart of two")
def test_rolling_restart(cell: Cell) -> None:
    job = under_way(cell, 150)
    for index in (0, 1):
        assert cell.stack.nodes[index].stop() == 0
        cell.stack.nodes[index] = cell.stack.start_node(index)
        for recorder in [r for r in cell.stack.recorders if r.job == job.id]:
            recorder.wait_current(min(recorder.current + 1, 150))
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell(
    "Web node", "listener connection half-open while idle: nothing comes, nothing closes"
)
def test_listener_half_open(cell: Cell) -> None:
    wire, node = cell.stack.node_wires[0], cell.stack.nodes[0]
    wait_until(lambda: readiness(node)[0] == 200)
    # Its words still arrive; what the queue answers, and publishes, doesn't.
    wire.black_hole("down")
    wait_until(lambda: not readiness(node)[1]["queue"]["heard"], what="/readyz to tell", seconds=20)
    assert readiness(node)[0] == 503
    cell.hold(0, 60)
    wire.heal()
    cell.fault_over()
    wait_until(lambda: readiness(node)[0] == 200, what="/readyz to tell the recovery", seconds=20)
    cell.settle(under_way(cell, 20))


@pytest.mark.cell("Web node", "listener connection cut while idle")
def test_listener_cut(cell: Cell) -> None:
    over = cell.start("steps", 1)
    cell.watch(over)
    wait_until(lambda: cell.stack.truth(over.id).final is not None)
    for wire in cell.stack.node_wires:
        wire.drop()
    cell.fault_over()
    cell.settle(over, under_way(cell, 20))


@pytest.mark.cell("Web node", "event loop blocked for 5 s")
def test_event_loop_blocked(cell: Cell) -> None:
    """Eventlet's node has one thread: stopped by a signal, it stands as a blocked loop stands."""
    job = under_way(cell, 200 if cell.long else 80)
    node = cell.stack.nodes[0].process.pid
    os.kill(node, signal.SIGSTOP)
    cell.hold(2, 5)
    os.kill(node, signal.SIGCONT)
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Web node", "event loop blocked over the end of the job")
def test_event_loop_blocked_over_the_end(cell: Cell) -> None:
    job = under_way(cell, 30)
    node = cell.stack.nodes[0].process.pid
    os.kill(node, signal.SIGSTOP)
    wait_until(lambda: cell.stack.truth(job.id).final is not None)
    cell.hold(0, 5)
    os.kill(node, signal.SIGCONT)
    cell.fault_over()
    cell.settle(job)
