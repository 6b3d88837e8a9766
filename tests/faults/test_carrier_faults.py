"""The matrix, column Queue, where RabbitMQ carries and Redis remembers."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from bridge import Job
from tests.conftest import RabbitServer, wait_until
from tests.faults.cell import Cell
from tests.faults.stack import Stack, running_stack

pytestmark = [
    pytest.mark.redis, pytest.mark.rabbitmq, pytest.mark.e2e, pytest.mark.usefixtures("worker")
]  # fmt: skip


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, shared_rabbit: RabbitServer) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("carrier"), carrier=shared_rabbit) as made:
        yield made


@pytest.fixture
def rabbit(cell: Cell) -> RabbitServer:
    assert cell.stack.carrier is not None
    return cell.stack.carrier


def under_way(cell: Cell, count: int = 60, every: int = 5) -> Job:
    """A job in the middle of its steps, an event every so many, watched on both nodes."""
    job = cell.start("steps", count, 0.05, every)
    recorders = [*cell.watch(job, "python", "raw", node=0), *cell.watch(job, "node", node=1)]
    for recorder in recorders:
        recorder.wait_current(5)
    return job


@pytest.mark.cell("Queue (RabbitMQ)", "no fault")
def test_without_a_fault(cell: Cell) -> None:
    cell.settle(under_way(cell, 20))


@pytest.mark.cell("Queue (RabbitMQ)", "stopped for 60 s and started anew, over the end of a job")
def test_stopped(cell: Cell, rabbit: RabbitServer) -> None:
    over, job = under_way(cell, 30), under_way(cell, 1300 if cell.long else 150)
    rabbit.stop()
    cell.hold(3, 60)
    rabbit.start()
    cell.fault_over()
    cell.settle(over, job, seconds=60)


@pytest.mark.cell("Queue (RabbitMQ)", "black-holed for 60 s")
def test_black_holed(cell: Cell) -> None:
    job = under_way(cell, 1300 if cell.long else 110)
    for wire in cell.stack.carrier_wires:
        wire.black_hole()
    cell.hold(4, 60)
    for wire in cell.stack.carrier_wires:
        wire.heal()
    cell.fault_over()
    cell.settle(job, seconds=60)


@pytest.mark.cell("Queue (RabbitMQ)", "frozen for 60 s")
def test_frozen(cell: Cell, rabbit: RabbitServer) -> None:
    job = under_way(cell, 1300 if cell.long else 100)
    rabbit.signal(signal.SIGSTOP)
    cell.hold(3, 60)
    rabbit.signal(signal.SIGCONT)
    cell.fault_over()
    cell.settle(job, seconds=60)


@pytest.mark.cell("Queue (RabbitMQ)", "slow: 200 ms a round trip")
def test_slow(cell: Cell) -> None:
    for wire in cell.stack.carrier_wires:
        wire.delay(up=0.1, down=0.1)
    cell.settle(under_way(cell, 60))


@pytest.mark.cell("Queue (RabbitMQ)", "memory alarm: publishers are blocked")
def test_memory_alarm(cell: Cell, rabbit: RabbitServer) -> None:
    job = under_way(cell, 120)
    rabbit.control("set_vm_memory_high_watermark", "0.000001")
    cell.hold(2, 60)
    rabbit.control("set_vm_memory_high_watermark", "0.4")
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Queue (RabbitMQ)", "all connections closed by the broker")
def test_connections_closed(cell: Cell, rabbit: RabbitServer) -> None:
    job = under_way(cell, 60)
    rabbit.control("close_all_connections", "a fault")
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Queue (RabbitMQ)", "queues deleted under the nodes")
def test_queues_deleted(cell: Cell, rabbit: RabbitServer) -> None:
    job = under_way(cell, 80)
    for name in rabbit.control("list_queues", "--no-table-headers", "name").split():
        rabbit.control("delete_queue", name)
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Queue (RabbitMQ)", "the journal is away: RabbitMQ alone remembers nothing")
def test_journal_stopped(cell: Cell) -> None:
    job = under_way(cell, 100)
    wires = [cell.stack.worker_wire, *cell.stack.node_wires]
    for wire in wires:
        wire.cut()
    cell.hold(2, 60)
    for wire in wires:
        wire.heal()
    cell.fault_over()
    cell.settle(job, seconds=60)


@pytest.mark.cell("Queue (RabbitMQ)", "replies of the journal lost, which are tried again")
def test_replies_lost(cell: Cell) -> None:
    job = under_way(cell, 60, every=1)  # what is tried again has an event, then
    wire, before = cell.stack.worker_wire, cell.stack.worker_wire.lost_replies
    for times in range(1, 4):
        wire.lose_reply(b"EVALSHA")
        wait_until(lambda wanted=before + times: wire.lost_replies >= wanted)
    cell.fault_over()
    cell.settle(job)
