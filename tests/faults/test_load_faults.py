"""The matrix, column Load: more than anybody can look at."""

from __future__ import annotations

import time

import pytest

from tests.conftest import wait_until
from tests.faults.cell import Cell
from tests.faults.evidence import Memory

pytestmark = [pytest.mark.redis, pytest.mark.e2e]

JOBS = 1000
EVENTS = 10_000


@pytest.mark.cell("Load", "`update` in a tight loop, 10 million times")
def test_a_tight_loop(cell: Cell) -> None:
    worker = cell.start_worker()
    times = 10_000_000 if cell.long else 1_000_000
    held = Memory("the worker", [], allowed_growth=10_000_000)
    job = cell.start("tight_loop", times)
    recorders = cell.watch(job)

    def is_over() -> bool:
        held.samples.append((time.monotonic(), worker.memory()))
        return cell.stack.truth(job.id).final is not None

    recorders[0].wait_for("PROGRESS", "SUCCESS")
    wait_until(is_over, seconds=120, what="the loop's end")
    (found,) = cell.settle(job, memories=[held])

    (loop,) = found.truth.executions
    seconds = (loop.ended or 0) - loop.started
    most = (seconds + 1) * cell.stack.settings.rate_watched + 3
    assert all(len(recorder.history.shown) <= most for recorder in recorders)
    cell.note = f"{times:,} updates in {seconds:.1f} s, {seconds / times * 1e9:.0f} ns each"


@pytest.mark.cell("Load", f"{JOBS:,} jobs in one worker with threads")
def test_many_jobs_with_threads(cell: Cell) -> None:
    worker = cell.start_worker("-P", "threads", "-c", "100")
    began = time.monotonic()
    jobs = [cell.start("steps", 4, 0.05, 2) for _ in range(JOBS)]
    for job in jobs[:: JOBS // 10]:
        cell.watch(job, "raw")
    cell.settle(*jobs, seconds=90)
    cell.note = (
        f"{JOBS:,} jobs in {time.monotonic() - began:.0f} s, "
        f"the worker had {worker.memory() / 1e6:.0f} MB"
    )


@pytest.mark.cell("Load", f"{EVENTS:,} custom events in a second")
def test_very_many_events(cell: Cell) -> None:
    worker = cell.start_worker()
    job = cell.promise("chatter-" + cell.stack.channel)
    recorders = cell.watch(job)
    cell.start("chatter", EVENTS, task_id=job.id)

    (found,) = cell.settle(job)

    assert all(recorder.history.gaps for recorder in recorders), "what is gone was told"
    newest = found.stored.events[-1]["data"]["number"]
    assert newest == EVENTS, "the oldest were dropped, and not the newest"
    wait_until(lambda: "events and 0 states were dropped" in worker.log.read_text())
    last = found.stored.snapshot["last_seq"]  # type: ignore[index]
    assert last == EVENTS, "each has its number"
    told = min(len(recorder.history.told) for recorder in recorders)
    cell.note = f"{told:,} told to every client, the gap told, the number dropped logged"
