"""Tasks for workers that meet faults. Each writes into the ledger what it really does."""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery

from bridge import Progress, push_progress
from tests.faults.ledger import deed

app = Celery("faulty_tasks")
app.conf.update(
    broker_url=os.environ.get("FAULTS_BROKER", "memory://"),
    result_backend=os.environ.get("FAULTS_BACKEND", "cache+memory://"),
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    include=["tests.faults.worker_tasks"],
    task_default_queue=os.environ.get("FAULTS_QUEUE", "celery"),
    # An unacknowledged job comes back this soon after its worker was killed.
    broker_transport_options={"visibility_timeout": int(os.environ.get("FAULTS_VISIBILITY", "5"))},
)
app.set_default()


def walk(progress: Progress, n: int, interval: float, every: int, **about: Any) -> None:
    """Take n steps, each so many seconds long, with an event at every so many of them."""
    with deed(progress, **about) as doing:
        for step in range(1, n + 1):
            doing.update(step, total=n)
            if every and step % every == 0:
                doing.emit("step")
            time.sleep(interval)


@app.task
@push_progress(unit="steps")
def steps(n: int, interval: float = 0.05, every: int = 5, *, progress: Progress) -> None:
    walk(progress, n, interval, every)


@app.task(acks_late=True, reject_on_worker_lost=True)
@push_progress(unit="steps")
def steady(n: int, interval: float = 0.05, every: int = 5, *, progress: Progress) -> None:
    """The same, redelivered if its worker dies."""
    walk(progress, n, interval, every)


@app.task(bind=True)
@push_progress(unit="steps")
def unsteady(
    self: Any, n: int, interval: float = 0.05, failures: int = 1, *, progress: Progress
) -> None:
    """The same, but it fails after its steps so many times and is tried again at once."""
    with deed(progress) as doing:
        for step in range(1, n + 1):
            doing.update(step, total=n)
            if step % 5 == 0:
                doing.emit("step")
            time.sleep(interval)
        if self.request.retries < failures:
            raise self.retry(countdown=0, exc=ValueError("not yet"), max_retries=failures)


@app.task
@push_progress
def failing(n: int, interval: float = 0.05, *, progress: Progress) -> None:
    with deed(progress) as doing:
        for step in range(1, n + 1):
            doing.update(step, total=n)
            time.sleep(interval)
        raise ValueError("as it was told to")


@app.task
@push_progress
def tight_loop(n: int, *, progress: Progress) -> float:
    """Update as fast as it goes; returns seconds."""
    with deed(progress) as doing:
        doing.plan((1, n))
        before = time.perf_counter()
        update = progress.update
        for number in range(1, n + 1):
            update(number, n)
        return time.perf_counter() - before


@app.task
@push_progress
def chatter(count: int, steps: int = 10, *, progress: Progress) -> None:
    """Emit many events at once."""
    with deed(progress) as doing:
        doing.emit("word", count)
        for step in range(1, steps + 1):
            doing.update(step, total=steps)
            time.sleep(0.05)


@app.task
@push_progress
def bulky(count: int, size: int, interval: float = 0.002, *, progress: Progress) -> None:
    """Emit large events, no faster than they can be sent."""
    with deed(progress) as doing:
        for number in range(1, count + 1):
            doing.update(number, total=count)
            doing.emit("block", data={"block": "x" * size})
            time.sleep(interval)
