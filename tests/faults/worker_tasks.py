"""Tasks that end in every way that Celery knows, and in some that it does not."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from celery import Task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded

from bridge import Progress, push_progress
from bridge.sender.process import outbox_of, settings_of
from tests.faults.faulty_tasks import app, steps, walk
from tests.faults.ledger import deed

#: All tasks are started by names of one module.
_NAMES = "tests.faults.faulty_tasks."


@app.task(name=f"{_NAMES}too_long", time_limit=1)
@push_progress
def too_long(*, progress: Progress) -> None:
    """Run into a hard time limit."""
    walk(progress, 1000, 0.05, 5)


@app.task(name=f"{_NAMES}overdue", soft_time_limit=1)
@push_progress
def overdue(tidy: bool, *, progress: Progress) -> None:
    """Run into a soft time limit; end well if it is tidy."""
    with deed(progress) as doing:
        try:
            for step in range(1, 1000):
                doing.update(step)
                time.sleep(0.05)
        except SoftTimeLimitExceeded:
            if not tidy:
                raise
        doing.emit("tidied")


@app.task(name=f"{_NAMES}again_later", bind=True)
@push_progress
def again_later(self: Any, countdown: float, *, progress: Progress) -> None:
    """Be tried again once, some seconds later."""
    with deed(progress) as doing:
        doing.update(1, total=2)
        doing.emit("try")
        if not self.request.retries:
            raise self.retry(countdown=countdown, exc=ValueError("not yet"))
        doing.update(2, total=2)


@app.task(name=f"{_NAMES}crowd")
@push_progress
def crowd(*, progress: Progress) -> None:
    """Let threads and forked processes tell of the work, too."""
    with deed(progress) as doing:
        lock = threading.Lock()

        def help_out() -> None:
            for _ in range(10):
                with lock:
                    doing.emit("from a thread")
                time.sleep(0.01)

        threads = [threading.Thread(target=help_out) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                doing.emit("from a child", 2)
                outbox_of(settings_of(app)).flush(30)
                os._exit(0)
            os.waitpid(pid, 0)
            doing.emitted_elsewhere(2)
        doing.update(1, total=1)


@app.task(name=f"{_NAMES}leave")
@push_progress
def leave(how: str, *, progress: Progress) -> None:
    """Leave by the emergency exit."""
    with deed(progress) as doing:
        for step in range(1, 10):
            doing.update(step, total=10)
            time.sleep(0.05)
        if how == "sys.exit":
            sys.exit(3)
        os._exit(3)


@app.task(name=f"{_NAMES}inexpressible")
@push_progress(result=True)
def inexpressible(*, progress: Progress) -> object:
    """Return what nobody can serialise."""
    with deed(progress) as doing:
        doing.update(1, total=1)
        return object()


@app.task(name=f"{_NAMES}ignored")
@push_progress
def ignored(*, progress: Progress) -> None:
    with deed(progress) as doing:
        doing.update(1, total=1)
        raise Ignore


@app.task(name=f"{_NAMES}rejected", bind=True, acks_late=True)
@push_progress
def rejected(self: Any, requeue: bool, *, progress: Progress) -> None:
    """Be rejected; if it is queued again, the second time goes well."""
    with deed(progress) as doing:
        doing.update(1, total=1)
        if not requeue or not self.request.delivery_info.get("redelivered"):
            raise Reject("no good", requeue=requeue)


@app.task(name=f"{_NAMES}replaced", bind=True)
@push_progress
def replaced(self: Any, n: int, *, progress: Progress) -> Any:
    with deed(progress) as doing:
        doing.update(1, total=1)
        raise self.replace(steps.s(n))


class Fatal(Task):  # type: ignore[type-arg]
    """Its worker is gone when its result is stored, and before anybody was told."""

    name = f"{_NAMES}fatal"
    acks_late = True
    reject_on_worker_lost = True

    @push_progress
    def run(self, n: int, *, progress: Progress) -> None:
        walk(progress, n, 0.05, 0)

    def on_success(self, *_: Any) -> None:
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


app.register_task(Fatal())
app.conf.worker_deduplicate_successful_tasks = True


@app.task(name=f"{_NAMES}deaf")
@push_progress
def deaf(seconds: float, holds_gil: bool, *, progress: Progress) -> None:
    """Block the whole process by the GIL, or just this thread, and so a green pool's loop."""
    library = ctypes.PyDLL(None) if holds_gil else ctypes.CDLL(None)
    with deed(progress) as doing:
        doing.update(1, total=2)
        time.sleep(0.5)
        library.usleep(int(seconds * 1e6))
        doing.update(2, total=2)


@app.task(name=f"{_NAMES}taciturn")
@push_progress
def taciturn(folder: str, *, progress: Progress) -> None:
    """Say one word, and no other before there is a file named enough."""
    with deed(progress) as doing:
        doing.update(1, total=2)
        while not (Path(folder) / "enough").exists():
            time.sleep(0.01)
        doing.update(2, total=2)


@app.task(name=f"{_NAMES}silent")
@push_progress
def silent(*, progress: Progress) -> None:
    """Compute for long without a word, and look now and then whether it should stop."""
    with deed(progress) as doing:
        doing.update(1)
        while not progress.cancelled:
            time.sleep(0.01)
        doing.update(2)
