"""Eager mode: no worker, no broker, and the states must be right all the same."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from celery import Celery, chain, chord, group
from celery.exceptions import Retry

from bridge import Progress, current_progress, emit, push_progress, submit
from bridge.errors import InvalidId
from bridge.journal import RedisJournal, connect
from bridge.sender.process import outbox_of, settings_of
from bridge.tokens import Tokens
from tests.conftest import wait_until

pytestmark = pytest.mark.redis


class Eager:
    def __init__(self, app: Celery) -> None:
        self.app = app
        self.settings = settings_of(app)
        self.journal = RedisJournal(connect(self.settings.message_queue), self.settings)

    def snapshot(self, job: str) -> dict[str, Any]:
        assert outbox_of(self.settings).flush(30)
        return self.journal.read([(job, 0)])[0].snapshot or {}


@pytest.fixture(params=[True, False], ids=["propagates", "stores"])
def eager(
    request: pytest.FixtureRequest,
    redis_url: str,
    channel: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Eager]:
    monkeypatch.setenv("BRIDGE_SECRET_KEY", "a secret for tests only")
    app = Celery(f"eager-{uuid.uuid4().hex[:6]}", broker="memory://", backend="cache+memory://")
    app.conf.update(task_always_eager=True, task_eager_propagates=request.param)
    app.conf.update(BRIDGE_MESSAGE_QUEUE=redis_url, BRIDGE_CHANNEL=channel)
    app.set_current()
    yield Eager(app)
    app.close()


def test_success(eager: Eager) -> None:
    @eager.app.task(shared=False)
    @push_progress(result=True)
    def count(n: int, *, progress: Progress) -> int:
        return len(list(progress.track(range(n))))

    job = submit(count, [3], user="ann")
    snapshot = eager.snapshot(job.id)
    assert (snapshot["state"], snapshot["current"], snapshot["result"]) == ("SUCCESS", 3, 3)
    assert snapshot["user"] == "ann"
    assert [run["state"] for run in snapshot["runs"]] == ["SUCCESS"]


def test_failure(eager: Eager) -> None:
    @eager.app.task(shared=False)
    @push_progress
    def fail() -> None:
        raise KeyError("x")

    job = f"job-{uuid.uuid4().hex}"
    if eager.app.conf.task_eager_propagates:
        with pytest.raises(KeyError):
            submit(fail, task_id=job)
    else:
        submit(fail, task_id=job)
    snapshot = eager.snapshot(job)
    assert (snapshot["state"], snapshot["error"]["type"]) == ("FAILURE", "KeyError")


def test_retry_and_then_success(eager: Eager) -> None:
    @eager.app.task(shared=False, bind=True, max_retries=3)
    @push_progress(result=True)
    def flaky(self: Any) -> str:
        if self.request.retries < 2:
            raise self.retry(countdown=0, exc=ValueError("no"))
        return "done"

    job = f"job-{uuid.uuid4().hex}"
    if eager.app.conf.task_eager_propagates:
        with pytest.raises(Retry):
            submit(flaky, task_id=job)
        assert eager.snapshot(job)["state"] == "RETRY", "Celery itself goes no further"
        return
    submit(flaky, task_id=job)
    snapshot = eager.snapshot(job)
    assert (snapshot["state"], snapshot["attempt"], snapshot["result"]) == ("SUCCESS", 2, "done")
    assert [run["state"] for run in snapshot["runs"]] == ["RETRY", "RETRY", "SUCCESS"]


def test_a_cancelled_job_ends_though_the_result_backend_is_away(
    eager: Eager, monkeypatch: pytest.MonkeyPatch
) -> None:
    @eager.app.task(shared=False)
    @push_progress
    def stubborn(*, progress: Progress) -> None:
        progress.cancel_requested = True
        progress.update(1)

    monkeypatch.setattr(eager.app.backend, "mark_as_revoked", Mock(side_effect=OSError("away")))
    job = submit(stubborn)
    assert eager.snapshot(job.id)["state"] == "REVOKED"


def test_cancelled_before_it_ran(eager: Eager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.sender.decorator.CANCELLED_WAIT_SECONDS", 30)

    @eager.app.task(shared=False)
    @push_progress
    def never() -> None:
        raise AssertionError

    job = f"job-{uuid.uuid4().hex}"
    emit("note", 1, job=job)
    assert outbox_of(eager.settings).flush(30)
    assert eager.journal.cancel(job) == "ok"
    submit(never, task_id=job)
    assert eager.snapshot(job)["state"] == "REVOKED"


def test_a_task_in_a_task_is_a_job_of_its_own(eager: Eager) -> None:
    @eager.app.task(shared=False)
    @push_progress
    def inner() -> str:
        current_progress().update(message="inside")
        return current_progress().job

    @eager.app.task(shared=False)
    @push_progress(result=True)
    def outer() -> str:
        child = inner.delay().get(disable_sync_subtasks=False)
        current_progress().update(message="outside")
        return str(child)

    job = submit(outer, user="ann")
    snapshot = eager.snapshot(job.id)
    child = eager.snapshot(snapshot["result"])
    assert (snapshot["message"], child["message"]) == ("outside", "inside")
    assert child["state"] == "SUCCESS"
    assert (child["root"], child["parent"], child["user"]) == (job.id, job.id, "ann")


def test_emit_to_another_job_a_room_or_nobody(eager: Eager) -> None:
    emit("note", {"a": 1}, job="other-job")
    emit("note", {"a": 1}, to="a-sid", namespace="/")
    emit("note", {"a": 1}, room="lobby")
    assert outbox_of(eager.settings).flush(30)
    (reading,) = eager.journal.read([("other-job", 0)])
    assert [event["data"] for event in reading.events] == [{"a": 1}]
    for wrong in (
        lambda: emit("note"),
        lambda: emit("note", job="a", to="b"),
        lambda: emit("note", to="a", room="b"),
        lambda: emit("note", job="a", namespace="/"),
        lambda: emit("note", to=""),
        lambda: emit("progress", job="a"),
        lambda: emit("note", object(), job="a"),
        lambda: emit("note", job="a b"),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - each has its own words
            wrong()


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        (lambda one: chain(one.s(), one.s()), 2),
        (lambda one: chord([one.s(), one.s()], one.s()), 3),
        (lambda one: chord([one.s(), chain(one.s(), one.s())], chain(one.s(), one.s())), 5),
        (lambda one: chain(one.s(), group(one.s(), one.s()), one.s()), 4),
    ],
    ids=["chain", "chord", "chains in a chord", "group in a chain"],
)
def test_a_workflow_ends_with_its_job_and_has_one_root(
    eager: Eager, shape: Callable[[Any], Any], count: int
) -> None:
    @eager.app.task(shared=False)
    @push_progress(result=True)
    def one(previous: object = None) -> str:
        return current_progress().job

    job = submit(shape(one), user="ann")
    snapshot = eager.snapshot(job.id)
    assert (snapshot["state"], snapshot["result"]) == ("SUCCESS", job.id)
    assert (snapshot["task"], snapshot["user"], len(snapshot["runs"])) == (one.name, "ann", 1)
    others = eager.journal.list_jobs(f"root:{job.id}", 10).jobs
    assert len(others) == count - 1
    for other in others:
        found = eager.snapshot(other)
        assert (found["root"], found["user"], found["state"]) == (job.id, "ann", "SUCCESS")


def test_a_group_is_a_root_of_jobs_and_none_itself(eager: Eager) -> None:
    @eager.app.task(shared=False)
    @push_progress
    def one(previous: object = None) -> None:
        pass

    for flow in (group(one.s(), one.s()), chain(one.s(), group(one.s(), one.s()))):
        whole = submit(flow)
        assert eager.snapshot(whole.id) == {}
        parts = eager.journal.list_jobs(f"root:{whole.id}", 10).jobs
        assert len(parts) >= 2
        assert {eager.snapshot(part)["state"] for part in parts} == {"SUCCESS"}
        tokens = Tokens(eager.settings.require_secret(), seconds=1)
        assert tokens.read(whole.token).ids == {whole.id}
        assert tokens.read(whole.token).scope == "root"
        with pytest.raises(ValueError, match="sid"):
            submit(flow, sid="a-sid")


def test_what_is_sent_to_a_room_is_what_it_was_at_the_call(
    eager: Eager, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    outbox = outbox_of(eager.settings)
    monkeypatch.setattr(outbox.courier._sink, "send", lambda name, data, **_: sent.append(data))
    data = {"n": 0}
    for number in range(3):
        data["n"] = number
        emit("note", data, room="lobby")
    assert outbox.flush(30)
    assert [payload["data"]["n"] for payload in sent] == [0, 1, 2]


def test_submit_refuses_before_anything_is_started(eager: Eager) -> None:
    ran: list[int] = []

    @eager.app.task(shared=False)
    @push_progress
    def task() -> None:
        ran.append(1)

    for error, arguments in (
        (InvalidId, {"task_id": "a b"}),
        (InvalidId, {"user": "a b"}),
        (ValueError, {"actions": ["fly"]}),
        (ValueError, {"sid": 5}),
        (ValueError, {"sid": ""}),
    ):
        with pytest.raises(error):
            submit(task, **arguments)
    for thing in (group([]), chain(), 7, None, "", object()):
        with pytest.raises(TypeError, match="submit"):
            submit(thing)
    assert ran == []


def test_the_token_is_for_this_job(eager: Eager) -> None:
    @eager.app.task(shared=False)
    @push_progress
    def task() -> None:
        pass

    job = submit(task, actions=["watch", "cancel"])
    tokens = Tokens(eager.settings.require_secret(), seconds=1)
    assert job.token is not None
    assert tokens.check(job.token, "cancel", job=job.id).ids == {job.id}


def test_a_broker_that_is_away_is_told_to_the_caller_and_the_watcher(eager: Eager) -> None:
    eager.app.conf.update(task_always_eager=False, broker_url="redis://127.0.0.1:1/0")
    eager.app.conf.task_publish_retry = False
    job = f"job-{uuid.uuid4().hex}"
    with pytest.raises(Exception, match="refused"):
        submit("some.task", task_id=job)
    wait_until(lambda: eager.snapshot(job)["state"] == "FAILURE")
