"""The matrix, column Client: what happens to those who watch."""

from __future__ import annotations

import pytest

from tests.faults.cell import Cell
from tests.faults.clients import KINDS

pytestmark = [pytest.mark.redis, pytest.mark.e2e, pytest.mark.usefixtures("worker")]


@pytest.mark.cell("Client", "none: all kinds of clients follow a job on two nodes")
def test_without_a_fault(cell: Cell) -> None:
    job = cell.start("steps", 20)
    for node in (0, 1):
        cell.watch(job, *KINDS, node=node)
    cell.settle(job)


@pytest.mark.cell("Client", "offline for 30 s in mid-job")
def test_offline_in_mid_job(cell: Cell) -> None:
    job = cell.start("steps", 80)
    for recorder in cell.watch(job):
        recorder.wait_current(5)
    cell.stack.client_wires[0].cut()
    cell.hold(2, 30)
    cell.stack.client_wires[0].heal()
    cell.fault_over()
    cell.settle(job)
