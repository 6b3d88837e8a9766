"""The result backend as the journal, with real prefork workers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge import emit, submit
from bridge.errors import SettingsError
from bridge.sender.process import flush_all, settings_of
from tests.conftest import wait_until
from tests.sender import bridged_tasks as tasks
from tests.sender.conftest import Jobs, running_worker

pytestmark = [
    pytest.mark.redis,
    pytest.mark.usefixtures("worker"),
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]


@pytest.fixture(scope="module")
def worker_environ(worker_environ: dict[str, str]) -> dict[str, str]:
    own = {"BRIDGE_JOURNAL": "result-backend", "BRIDGE_RATE_IDLE": "20"}
    return {**worker_environ, **own, "BRIDGE_RESULT_BACKEND": worker_environ["TEST_BACKEND"]}


@pytest.fixture(scope="module")
def worker(jobs: Jobs, worker_environ: dict[str, str]) -> Iterator[None]:
    queue = worker_environ["TEST_QUEUE"]
    with running_worker(worker_environ, "-c", "2", "-Q", queue):
        yield


def test_the_last_word_is_stored_before_a_child_ends(
    jobs: Jobs, start_worker: Callable[..., Any]
) -> None:
    queue = f"{jobs.settings.channel}-recycled"
    with start_worker("-c", "1", "--max-tasks-per-child", "1", "-Q", queue):
        job = submit(tasks.count, [25], queue=queue).id
        # Celery's word may be there a moment before ours, which has the figures.
        wait_until(lambda: jobs.snapshot(job)["result"] == {"n": 25})
    snapshot = jobs.snapshot(job)
    assert (snapshot["current"], snapshot["last_seq"], snapshot["unit"]) == (25, 3, "rows")
    assert snapshot["queued_at"] <= snapshot["started_at"] <= snapshot["ended_at"]


def test_the_next_try_in_another_child_is_the_next_run_and_counts_on(jobs: Jobs) -> None:
    """At once, so that it may begin before the end of the last one is stored."""
    for job in [submit(tasks.shared, [2]).id for _ in range(8)]:
        jobs.wait_for(job, "SUCCESS")
        # Celery's word may be there a moment before ours, which has counted the last event.
        wait_until(lambda job=job: jobs.snapshot(job)["last_seq"] == 3, what=f"3 events of {job}")
        snapshot = jobs.snapshot(job)
        assert [run["state"] for run in snapshot["runs"]] == ["RETRY", "RETRY", "SUCCESS"]
        assert (snapshot["run"], snapshot["attempt"], snapshot["last_seq"]) == (3, 2, 3)


def test_a_task_whose_result_is_ignored_has_a_record_and_no_result(jobs: Jobs) -> None:
    job = f"job-{uuid.uuid4().hex}"
    tasks.bare.apply_async(task_id=job, ignore_result=True)
    wait_until(lambda: jobs.snapshot(job).get("state") == "SUCCESS")
    assert jobs.snapshot(job)["current"] == 1
    assert jobs.app.AsyncResult(job).state == "PENDING"


@pytest.mark.deployments
@pytest.mark.parametrize("pool", ["gevent", "eventlet", "threads"])
def test_green_pools_and_threads(jobs: Jobs, start_worker: Callable[..., Any], pool: str) -> None:
    queue = f"{jobs.settings.channel}-{pool}"
    with start_worker("-P", pool, "-c", "8", "-Q", queue):
        working = submit(tasks.work, [60], queue=queue).id
        wait_until(lambda: jobs.app.AsyncResult(working).state == "PROGRESS", what="the mirror")
        started = [submit(tasks.count, [25], queue=queue).id for _ in range(8)]
        started.append(submit(tasks.shared, [1], queue=queue).id)
        assert jobs.journal.cancel(working) == "ok"
        for job in started:
            jobs.wait_for(job, "SUCCESS")
            wait_until(lambda job=job: jobs.app.AsyncResult(job).state == "SUCCESS")
        jobs.wait_for(working, "REVOKED")


def test_a_child_that_dies_leaves_its_figures_and_the_parent_tells_the_end(jobs: Jobs) -> None:
    snapshot = jobs.wait_for(submit(tasks.die).id, "FAILURE")
    assert (snapshot["current"], snapshot["total"]) == (3, 10)
    assert snapshot["error"]["type"] == "WorkerLostError"


def test_cancelled_while_it_runs_and_while_it_is_queued(jobs: Jobs) -> None:
    queued = submit(tasks.work, [60], countdown=3).id
    assert jobs.journal.cancel(queued) == "ok", "it is there before the task is sent"
    running = submit(tasks.work, [60]).id
    jobs.wait_for(running, "PROGRESS")
    assert jobs.journal.cancel(running) == "ok"
    jobs.wait_for(queued, "REVOKED")
    assert jobs.wait_for(running, "REVOKED")["current"] > 0
    wait_until(lambda: jobs.app.AsyncResult(running).state == "REVOKED")
    assert jobs.journal.cancel(running) == "finished"


def test_events_from_elsewhere_go_to_who_watches_and_into_no_count(jobs: Jobs) -> None:
    job = f"job-{uuid.uuid4().hex}"
    emit("note", {"a": 1}, job=job)
    flush_all()
    assert jobs.snapshot(job) == {}


def test_a_worker_without_any_result_backend_is_refused(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BRIDGE_RESULT_BACKEND")
    from celery import Celery

    with_one = Celery("with", backend="redis://127.0.0.1:1/0", set_as_current=False)
    assert settings_of(with_one).require_result_backend() == "redis://127.0.0.1:1/0"
    without = Celery("without", broker="memory://", set_as_current=False)
    with pytest.raises(SettingsError, match="BRIDGE_RESULT_BACKEND"):
        settings_of(without).require_result_backend()
