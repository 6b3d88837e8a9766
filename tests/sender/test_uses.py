"""Ways to use Celery, each with a real worker: every job tells what Celery itself says of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord, group

from bridge import Job, submit
from tests.conftest import wait_until
from tests.sender import bridged_tasks as tasks
from tests.sender.conftest import Jobs
from tests.sender.test_lifecycle import history

pytestmark = [pytest.mark.redis, pytest.mark.usefixtures("prefork")]


@pytest.mark.parametrize("task", [tasks.bare, tasks.late], ids=["plain", "acks_late"])
@pytest.mark.parametrize("how", ["countdown", "eta"])
def test_a_job_with_an_eta_waits_and_runs_once(jobs: Jobs, task: Any, how: str) -> None:
    due = time.time() + 0.5
    when = {"countdown": 0.5, "eta": datetime.fromtimestamp(due, timezone.utc)}
    job = submit(task, **{how: when[how]})
    snapshot = jobs.wait_for(job.id, "SUCCESS")
    assert snapshot["started_at"] >= due - 0.1
    assert snapshot["redeliverable"] is (task is tasks.late)
    assert history(snapshot) == [(1, 0, "SUCCESS")]


def test_a_link_is_a_job_of_its_own(jobs: Jobs) -> None:
    linked = uuid.uuid4().hex
    job = submit(tasks.bare, link=tasks.count.si(3).set(task_id=linked), user="ann")
    snapshot = jobs.wait_for(linked, "SUCCESS")
    assert (snapshot["root"], snapshot["parent"], snapshot["user"]) == (job.id, job.id, "ann")
    assert history(jobs.wait_for(job.id, "SUCCESS")) == [(1, 0, "SUCCESS")]


def test_an_errback_that_is_sent_is_a_job_of_its_own(jobs: Jobs) -> None:
    errback = uuid.uuid4().hex
    job = submit(tasks.fail, link_error=tasks.told_by_id.s().set(task_id=errback))
    snapshot = jobs.wait_for(errback, "SUCCESS")
    assert (snapshot["root"], snapshot["parent"]) == (job.id, job.id)
    assert snapshot["result"] == job.id
    assert history(jobs.wait_for(job.id, "FAILURE")) == [(1, 0, "FAILURE")]


def test_an_errback_that_is_called_in_place_is_part_of_the_failure(
    jobs: Jobs, tmp_path: Path
) -> None:
    """Celery calls it in the process of the task that failed, when that has ended."""
    told = tmp_path / "told"
    job = submit(tasks.fail, [str(told)], link_error=tasks.told_in_place.s())
    snapshot = jobs.wait_for(job.id, "FAILURE")
    wait_until(lambda: told.exists() and told.read_text() == job.id)
    assert snapshot["current"] is None
    assert history(jobs.snapshot(job.id)) == [(1, 0, "FAILURE")]


FAILING: dict[str, tuple[Callable[[], Any], str]] = {
    "chain": (lambda: chain(tasks.fail.si("x"), tasks.count.si(1), tasks.count.si(2)), "KeyError"),
    "chain, not bridged": (lambda: chain(tasks.plain_failure.si(), tasks.count.si(2)), "KeyError"),
    "chain, its process killed": (
        lambda: chain(tasks.leave.si(), tasks.count.si(2)), "WorkerLostError",
    ),
    "chord": (
        lambda: chord([tasks.fail.si("x"), tasks.count.si(1)], tasks.count.si(2)), "ChordError",
    ),
    "chain that ends in a chord": (
        lambda: chain(
            tasks.fail.si("x"), group(tasks.count.si(1), tasks.bare.si()), tasks.count.si(2)
        ),
        "KeyError",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILING)
def test_what_a_failure_keeps_from_running_has_failed_too(jobs: Jobs, name: str) -> None:
    """As Celery itself stores it; else who watches the end of a workflow would wait for ever."""
    flow, error = FAILING[name]
    job = submit(flow())
    snapshot = jobs.wait_for(job.id, "FAILURE")
    assert snapshot["error"]["type"] == error
    assert (snapshot["root"], snapshot["runs"]) == (job.id, [])
    wait_until(lambda: jobs.app.AsyncResult(job.id).state == "FAILURE")


@pytest.mark.parametrize("in_chain", [False, True])
def test_chunks_are_refused_as_nobody_would_hear_of_them(in_chain: bool) -> None:
    chunks = tasks.count.chunks([(1,), (2,)], 1)
    with pytest.raises(TypeError, match="submit a group of your own"):
        submit(chain(tasks.count.si(1), chunks) if in_chain else chunks)


def test_what_a_cancel_keeps_from_running_is_cancelled_too(jobs: Jobs) -> None:
    first = uuid.uuid4().hex
    job = submit(chain(tasks.work.si(60).set(task_id=first), tasks.count.si(2)))
    jobs.wait_for(first, "PROGRESS")
    jobs.journal.cancel(first)
    assert jobs.wait_for(job.id, "REVOKED")["runs"] == []


def test_a_child_that_fails_by_itself_does_not_end_the_workflow(jobs: Jobs) -> None:
    job: Job = submit(chain(tasks.spawns_failure.si(), tasks.count.si(2)))
    assert jobs.wait_for(job.id, "SUCCESS", "FAILURE")["state"] == "SUCCESS"


def test_children_of_two_that_run_one_task_each(
    jobs: Jobs, start_worker: Callable[..., Any]
) -> None:
    """Each child connects anew and is gone at once; nothing of what it told is."""
    queue = f"{jobs.settings.channel}-one-each"
    with start_worker("-c", "2", "--max-tasks-per-child", "1", "-Q", queue):
        started = [submit(tasks.late, queue=queue) for _ in range(6)]
        snapshots = [jobs.wait_for(job.id, "SUCCESS") for job in started]
    assert len({snapshot["result"] for snapshot in snapshots}) == 6, "a process for each"
    assert all(history(snapshot) == [(1, 0, "SUCCESS")] for snapshot in snapshots)


def test_handlers_of_others_in_a_new_child(jobs: Jobs, start_worker: Callable[..., Any]) -> None:
    """One connects a database, one raises, one emits before any task runs."""
    queue = f"{jobs.settings.channel}-crowd"
    with start_worker("-c", "2", "-Q", queue, "--include", "tests.sender.crowd"):
        started = [submit("tests.sender.crowd.ask_the_database", queue=queue) for _ in range(4)]
        results = [jobs.wait_for(job.id, "SUCCESS")["result"] for job in started]
        assert {answer for answer, _ in results} == {42}
        greeted = f"{jobs.settings.channel}-greeted"
        wait_until(lambda: len(jobs.events(greeted)) == 2)
        told = {event["data"]["pid"] for event in jobs.events(greeted)}
        assert {pid for _, pid in results} <= told
