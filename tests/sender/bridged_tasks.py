"""Tasks for a real worker, one for each way in which a run can go."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

from celery import Celery, Task, group, shared_task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded

from bridge import Progress, current_progress, emit, push_progress
from bridge.sender.process import outbox_of, settings_of

app = Celery("bridged_tasks")
app.conf.update(
    broker_url=os.environ.get("TEST_BROKER", "memory://"),
    result_backend=os.environ.get("TEST_BACKEND", "cache+memory://"),
    accept_content=["json"],
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    task_default_queue=os.environ.get("TEST_QUEUE", "celery"),
)
app.set_default()

log = logging.getLogger("a.library")


@app.task
@push_progress(unit="rows", result=True)
def count(n: int, *, progress: Progress) -> dict[str, int]:
    for number in progress.track(range(n), description="Counting"):
        if number % 10 == 0:
            progress.emit("ten", {"number": number})
    return {"n": n}


@app.task
@push_progress
def bare() -> int:
    current_progress().update(1, total=2, message="half")
    return 1


@shared_task(bind=True)
@push_progress
def shared(self: Task[Any, Any], fail_times: int, *, progress: Progress) -> str:
    emit("try", {"retries": self.request.retries})
    progress.update(self.request.retries)
    if self.request.retries < fail_times:
        raise self.retry(countdown=0, exc=ValueError("not yet"))
    return "done"


@app.task(bind=True)
@push_progress
def retry_later(self: Task[Any, Any]) -> None:
    raise self.retry(countdown=60, exc=ValueError("later"))


@app.task(autoretry_for=(ValueError,), retry_kwargs={"countdown": 0, "max_retries": 2})
@push_progress
def retried_by_celery() -> None:
    raise ValueError("always")


class Counter(Task):  # type: ignore[type-arg]
    name = "tests.sender.bridged_tasks.Counter"

    @push_progress(result=True)
    def run(self, n: int, *, progress: Progress) -> int:
        return sum(1 for _ in progress.track(range(n)))


counter = app.register_task(Counter())


@app.task
@push_progress
def fail(text: str = "broken") -> None:
    raise KeyError(text)


@app.task
@push_progress
def die(*, progress: Progress) -> None:
    progress.update(3, total=10)
    time.sleep(1.5)  # a job that nobody watches tells its state once a second
    os.kill(os.getpid(), 9)


@app.task
@push_progress
def stand_by(folder: str, *, progress: Progress) -> None:
    """Write its pid to a file named 1, or 2 if it is the second one, and wait for files."""
    place = Path(folder)
    (place / ("2" if (place / "1").exists() else "1")).write_text(str(os.getpid()))
    while not (place / "end").exists():
        time.sleep(0.01)
        if (place / "step").exists():
            progress.message = "stepped"


@app.task(time_limit=1)
@push_progress
def too_long() -> None:
    time.sleep(30)


@app.task(soft_time_limit=1)
@push_progress
def long_and_tidy() -> str:
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        return "tidied"
    return "never"


@app.task
@push_progress(result=True)
def not_json() -> object:
    return object()


@app.task
@push_progress
def leave() -> None:
    raise SystemExit(3)


@app.task
@push_progress
def ignore() -> None:
    raise Ignore


@app.task
@push_progress
def reject() -> None:
    raise Reject("no good", requeue=False)


@app.task(bind=True)
@push_progress
def replace(self: Task[Any, Any], n: int) -> Any:
    raise self.replace(count.s(n))


@app.task
@push_progress
def work(seconds: float, *, progress: Progress) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        progress.advance()
        time.sleep(0.01)


@app.task
@push_progress
def guarded(*, progress: Progress) -> None:
    while True:
        try:
            progress.advance()
            time.sleep(0.01)
        except Exception:  # noqa: BLE001 - what careless users write
            pass


@app.task
@push_progress(capture_logs=True)
def talk() -> None:
    log.info("from %s", "a library")
    log.debug("too quiet")
    logging.getLogger("other").warning("watch out")


@app.task
@push_progress
def forks(children: int, *, progress: Progress) -> None:
    progress.emit("parent", {})
    pids = []
    for number in range(children):
        pid = os.fork()
        if pid == 0:
            progress.emit("child", {"number": number})
            outbox_of(settings_of(app)).flush(30)
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)


@app.task
def plain_parent(n: int) -> None:
    count.delay(n)


@app.task
@push_progress
def parent(n: int) -> str:
    return str(count.delay(n).id)


@app.task
@push_progress
def calls_another() -> int:
    bare.run()
    return 1


@app.task
@push_progress
def bad_events(*, progress: Progress) -> list[str]:
    raised = []
    for name, data in (("progress", 1), ("row", object()), ("row", "x" * 100_000)):
        try:
            progress.emit(name, data)
        except ValueError as error:
            raised.append(type(error).__name__)
    progress.emit("raised", raised)
    return raised


@app.task(acks_late=True, reject_on_worker_lost=True)
@push_progress(result=True)
def late(*, progress: Progress) -> int:
    progress.update(1, total=1)
    return os.getpid()


@app.task
@push_progress
def spawns_failure() -> None:
    fail.delay("alone")


@app.task(bind=True)
@push_progress
def replace_by_group(self: Task[Any, Any]) -> Any:
    raise self.replace(group(count.s(1), count.s(2)))


@app.task(bind=True)
@push_progress
def replace_by_plain(self: Task[Any, Any]) -> Any:
    raise self.replace(plain.si())


@app.task
def plain() -> None:
    pass


@app.task
def plain_wait(seconds: float) -> None:
    time.sleep(seconds)


@app.task(bind=True, max_retries=1)
def plain_retry(self: Task[Any, Any]) -> None:
    if not self.request.retries:
        raise self.retry(countdown=0)


@app.task
def plain_failure() -> None:
    raise KeyError("plain")


@app.task
@push_progress(result=True)
def told_by_id(failed: str, *, progress: Progress) -> str:
    """An errback as Celery had them first: sent, with the id of the task that failed."""
    return failed


@app.task
@push_progress
def told_in_place(request: Any, error: Exception, traceback: Any, *, progress: Progress) -> None:
    """An errback that Celery calls where the task failed."""
    progress.update(1)
    Path(error.args[0]).write_text(str(request.id))
