"""The mirror in Celery's result backend: what others read there; no end is written over."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Retry
from celery.result import AsyncResult
from celery_progress.backend import Progress as CeleryProgress

from bridge import Progress, push_progress
from bridge.errors import SettingsError
from bridge.journal.results import Results
from bridge.sender import mirror as mirrors
from bridge.sender.process import outbox_of, settings_of
from tests.backends import BACKENDS, backend_url
from tests.conftest import RedisServer, wait_until
from tests.faults.proxy import Proxy

#: Celery calls what redis-py would have it call otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex")


class Office:
    """Runs tasks here, in threads, as a worker does: outcomes are stored by Celery itself."""

    def __init__(self, url: str, channel: str, **conf: Any) -> None:
        self.app = Celery("office", broker="memory://", backend=url, set_as_current=False)
        self.app.conf.update(
            task_store_eager_result=True, BRIDGE_MESSAGE_QUEUE="memory://", BRIDGE_CHANNEL=channel,
            BRIDGE_MIRROR=True, BRIDGE_RATE_IDLE=50, BRIDGE_RATE_WATCHED=50, **conf,
        )  # fmt: skip
        self.readers = Celery("readers", backend=url, set_as_current=False)
        self.go_on = threading.Event()
        self.reached = threading.Event()
        self.task: Any = self.app.task(shared=False, name="office.task")(self._work())
        self._threads: list[threading.Thread] = []

    def _work(self) -> Callable[..., Any]:
        @push_progress(unit="rows")
        def work(outcome: str, *, progress: Progress) -> Any:
            progress.update(3, total=12, message="Reading")
            self.reached.set()
            assert self.go_on.wait(30)
            if outcome == "fail":
                raise ValueError("as asked")
            if outcome == "retry":
                raise Retry("later", ValueError("later"), 99)
            return outcome

        return work

    @property
    def mirror(self) -> mirrors.Mirror:
        found = outbox_of(settings_of(self.app)).mirror
        assert found is not None
        return found

    def start(self, outcome: str = "done", job: str = "", **options: Any) -> str:
        job = job or f"job-{uuid.uuid4().hex}"
        thread = threading.Thread(
            target=self.task.apply, args=([outcome],), kwargs={"task_id": job, **options}
        )
        thread.start()
        self._threads.append(thread)
        return job

    def result(self, job: str) -> AsyncResult[Any]:
        return AsyncResult(job, app=self.readers)

    def wait_mirrored(self, job: str) -> None:
        wait_until(lambda: self.result(job).state == "PROGRESS", what="the mirror")

    def end(self) -> None:
        self.go_on.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
        self._threads.clear()

    def close(self) -> None:
        self.end()
        self.mirror.close()
        self.app.close()
        self.readers.close()


def office(url: str, channel: str, **conf: Any) -> Office:
    made = Office(url, channel, **conf)
    made.app.finalize()
    return made


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return backend_url(request.param, request, tmp_path)


@pytest.fixture
def at_work(url: str, channel: str) -> Iterator[Office]:
    made = office(url, channel)
    yield made
    made.close()


def test_others_read_how_far_a_job_is_and_then_its_result(at_work: Office) -> None:
    job = at_work.start()
    at_work.wait_mirrored(job)
    info = at_work.result(job).info
    assert info["bridge"]["job"] == job
    assert (info["bridge"]["unit"], info["bridge"]["run"]) == ("rows", 1)
    assert info["bridge"]["rev"] > 1e15
    told = CeleryProgress(at_work.result(job)).get_info()
    shown = {"pending": False, "current": 3, "total": 12, "percent": 25.0, "description": "Reading"}
    assert (told["state"], told["complete"]) == ("PROGRESS", False)
    assert told["progress"] | shown == told["progress"]

    at_work.end()
    assert at_work.result(job).get(timeout=30) == "done"
    assert CeleryProgress(at_work.result(job)).get_info()["complete"]


def test_what_is_written_is_what_celery_progress_itself_writes(at_work: Office) -> None:
    from celery_progress.backend import ProgressRecorder

    class Task:
        def update_state(self, **given: Any) -> None:
            self.given = given

    task = Task()
    ProgressRecorder(task).set_progress(3, 12, "Reading")
    job = at_work.start()
    at_work.wait_mirrored(job)
    ours = {k: v for k, v in at_work.result(job).info.items() if not k.startswith("bridge")}
    assert (at_work.result(job).state, ours) == (task.given["state"], task.given["meta"])


@pytest.mark.parametrize(("outcome", "state"), [("done", "SUCCESS"), ("fail", "FAILURE")])
def test_nothing_is_written_after_the_end(
    at_work: Office, outcome: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast the mirror writes, and however many end meanwhile."""
    at_work.mirror._interval = 0.0
    at_work.go_on.set()
    started = [at_work.start(outcome) for _ in range(12)]
    at_work.end()
    # A write that was under way is made good.
    wait_until(lambda: [at_work.result(job).state for job in started] == [state] * 12)
    written: list[str] = []
    monkeypatch.setattr(Results, "store", lambda self, ident, *_, **__: written.append(ident))
    assert outbox_of(settings_of(at_work.app)).flush(30)
    assert not written


@pytest.mark.parametrize("outcome", ["fail", "retry"])
def test_a_write_that_was_under_way_at_the_end_is_made_good(
    at_work: Office, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery itself guards nothing but SUCCESS."""
    late, let_go, store = threading.Event(), threading.Event(), Results.store
    states: list[str] = []

    def slow(self: Results, ident: str, value: Any, state: str, **options: Any) -> None:
        if state == "PROGRESS" and not late.is_set():
            late.set()
            assert let_go.wait(30)
        store(self, ident, value, state, **options)
        states.append(at_work.result(ident).state)

    monkeypatch.setattr(Results, "store", slow)
    job = at_work.start(outcome)
    assert late.wait(30)
    at_work.end()
    state = {"fail": "FAILURE", "retry": "RETRY"}[outcome]
    assert at_work.result(job).state == state, "Celery did not wait for the mirror"
    let_go.set()
    wait_until(lambda: state in states)
    assert states[-2:] == ["PROGRESS", state], "it was written over, and then stored again"
    stored = at_work.result(job)
    assert isinstance(stored.info, ValueError)
    assert "ValueError" in stored.traceback


def test_another_runs_end_is_not_written_over_and_a_later_run_is_mirrored(at_work: Office) -> None:
    job = at_work.start()
    at_work.wait_mirrored(job)
    at_work.readers.backend.store_result(job, ValueError("elsewhere"), "FAILURE")
    at_work.reached.clear()
    outbox = outbox_of(settings_of(at_work.app))
    (progress,) = [lane.source.progress for lane in outbox.lanes.executing()]
    for current in range(4, 8):
        seen = outbox.counters.published
        progress.update(current)
        wait_until(lambda seen=seen: outbox.counters.published > seen)
    assert outbox.flush(30)
    assert at_work.result(job).state == "FAILURE"
    at_work.end()

    at_work.go_on.clear()
    again = at_work.start("fail")
    at_work.end()
    assert at_work.result(again).state == "FAILURE"
    at_work.go_on.clear()
    at_work.start("done", job=again)
    at_work.wait_mirrored(again)


def test_a_backend_that_hangs_holds_up_nothing_but_celery_itself(
    shared_redis: RedisServer, channel: str
) -> None:
    proxy = Proxy(shared_redis.port)
    made = office(f"redis://127.0.0.1:{proxy.port}/3", channel)
    job = made.start()
    made.reached.wait(30)
    wait_until(lambda: made.readers.AsyncResult(job).state == "PROGRESS")
    outbox = outbox_of(settings_of(made.app))
    (progress,) = [lane.source.progress for lane in outbox.lanes.executing()]
    proxy.black_hole()
    progress.update(5)
    wait_until(lambda: made.mirror._busy, what="a write that hangs")
    published = outbox.counters.published
    progress.update(6)
    wait_until(lambda: outbox.counters.published > published, what="the message queue goes on")
    made.go_on.set()
    wait_until(lambda: progress.pen.closed, what="the end of the task's own code")
    proxy.heal()
    made.end()
    assert made.readers.AsyncResult(job).get(timeout=30) == "done"
    made.close()
    proxy.close()


@pytest.mark.redis
def test_tasks_whose_results_are_ignored_are_not_mirrored(redis_url: str, channel: str) -> None:
    made = office(redis_url, channel)
    job = made.start(ignore_result=True)
    made.reached.wait(30)
    assert outbox_of(settings_of(made.app)).flush(30)
    made.end()
    assert made.readers.AsyncResult(job).state == "PENDING"
    made.close()


@pytest.mark.parametrize("url", ["disabled://", "rpc://"])
def test_without_a_backend_that_others_can_read_there_is_no_mirror(url: str, channel: str) -> None:
    app = Celery("none", broker="memory://", backend=url, set_as_current=False)
    app.conf.update(BRIDGE_MESSAGE_QUEUE="memory://", BRIDGE_CHANNEL=channel, BRIDGE_MIRROR="true")
    with pytest.raises(SettingsError, match=r"BRIDGE_MIRROR.*result_backend"):
        outbox_of(settings_of(app))
