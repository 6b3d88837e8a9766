"""How a job's states come, with a real prefork worker on a real Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord, group
from flask import Flask

from bridge import Bridge, submit
from bridge.sender.lease import lease_of
from tests.conftest import wait_until
from tests.sender import bridged_tasks as tasks
from tests.sender.conftest import ROOT, Jobs

pytestmark = [pytest.mark.redis, pytest.mark.usefixtures("prefork")]


def history(snapshot: dict[str, Any]) -> list[tuple[int, int, str]]:
    return [(run["run"], run["attempt"], run["state"]) for run in snapshot["runs"]]


def test_success_has_the_figures_the_events_and_the_result(jobs: Jobs) -> None:
    job = submit(tasks.count, [25], user=7)
    snapshot = jobs.wait_for(job.id, "SUCCESS")
    assert (snapshot["current"], snapshot["total"], snapshot["unit"]) == (25, 25, "rows")
    assert (snapshot["message"], snapshot["result"]) == ("Counting", {"n": 25})
    assert (snapshot["user"], snapshot["root"], snapshot["parent"]) == ("7", job.id, None)
    assert snapshot["task"] == "tests.sender.bridged_tasks.count"
    assert snapshot["queued_at"] <= snapshot["started_at"] <= snapshot["ended_at"]
    assert snapshot["worker"].startswith("celery@")
    assert [event["data"] for event in jobs.events(job.id)] == [
        {"number": 0}, {"number": 10}, {"number": 20},
    ]  # fmt: skip
    assert history(snapshot) == [(1, 0, "SUCCESS")]


def test_success_is_told_only_once_the_backend_has_the_result(jobs: Jobs) -> None:
    for _ in range(10):
        job = submit(tasks.count, [1])
        jobs.wait_for(job.id, "SUCCESS")
        assert jobs.app.AsyncResult(job.id).state == "SUCCESS"


def test_a_task_that_is_simply_sent_is_pending_first(jobs: Jobs) -> None:
    held = tasks.bare.apply_async(countdown=60)
    snapshot = jobs.wait_for(held.id, "PENDING")
    assert snapshot["queued_at"]
    assert snapshot["runs"] == []
    jobs.app.control.revoke(held.id)
    result = tasks.bare.delay()
    snapshot = jobs.wait_for(result.id, "SUCCESS")
    assert snapshot["queued_at"]
    assert (snapshot["current"], snapshot["total"], snapshot["message"]) == (1, 2, "half")
    assert snapshot["result"] is None, "results are private unless the task opted in"


def test_each_retry_is_a_run_and_the_last_one_succeeds(jobs: Jobs) -> None:
    job = submit(tasks.shared, [2])
    snapshot = jobs.wait_for(job.id, "SUCCESS")
    assert history(snapshot) == [(1, 0, "RETRY"), (2, 1, "RETRY"), (3, 2, "SUCCESS")]
    assert snapshot["attempt"] == 2
    assert [event["data"]["retries"] for event in jobs.events(job.id)] == [0, 1, 2]


def test_a_retry_says_why_and_when(jobs: Jobs) -> None:
    held = submit("tests.sender.bridged_tasks.retry_later", [])
    snapshot = jobs.wait_for(held.id, "RETRY")
    assert snapshot["error"] == {"type": "ValueError", "message": "later"}
    assert snapshot["next_at"] - snapshot["ended_at"] == pytest.approx(60, abs=2)


def test_celerys_own_retrying_is_seen_too(jobs: Jobs) -> None:
    job = submit(tasks.retried_by_celery)
    snapshot = jobs.wait_for(job.id, "FAILURE")
    assert history(snapshot) == [(1, 0, "RETRY"), (2, 1, "RETRY"), (3, 2, "FAILURE")]
    assert snapshot["error"] == {"type": "ValueError", "message": "always"}


def test_a_class_based_task_is_bridged(jobs: Jobs) -> None:
    job = submit(tasks.counter, [3])
    assert jobs.wait_for(job.id, "SUCCESS")["result"] == 3


def test_failure_has_type_and_message_and_no_traceback(jobs: Jobs) -> None:
    snapshot = jobs.wait_for(submit(tasks.fail, ["that"]).id, "FAILURE")
    assert snapshot["error"] == {"type": "KeyError", "message": "'that'"}
    assert "Traceback" not in str(snapshot)


@pytest.mark.parametrize(
    ("task", "error"),
    [
        ("die", "WorkerLostError"),
        ("too_long", "TimeLimitExceeded"),
        ("not_json", "EncodeError"),
        ("leave", "WorkerLostError"),
        ("reject", "Reject"),
    ],
)
def test_every_other_way_to_fail_ends_the_job(jobs: Jobs, task: str, error: str) -> None:
    job = submit(getattr(tasks, task))
    snapshot = jobs.wait_for(job.id, "FAILURE")
    assert snapshot["error"]["type"] == error
    assert history(snapshot) == [(1, 0, "FAILURE")]


def test_a_duplicate_that_dies_does_not_end_the_newer_run(jobs: Jobs, tmp_path: Path) -> None:
    """Two deliveries of a job run in two children of one worker, and the older one's child dies."""
    job = f"twice-{tmp_path.name}"
    for number in ("1", "2"):
        tasks.stand_by.apply_async([str(tmp_path)], task_id=job)
        wait_until(lambda n=number: (tmp_path / n).exists())  # type: ignore[misc]
    wait_until(lambda: jobs.snapshot(job)["run"] == 2)
    os.kill(int((tmp_path / "1").read_text()), signal.SIGKILL)
    (tmp_path / "step").touch()
    wait_until(lambda: jobs.app.AsyncResult(job).state == "FAILURE", what="Celery to notice")
    wait_until(lambda: jobs.snapshot(job)["message"] == "stepped")
    assert jobs.snapshot(job)["state"] == "PROGRESS"
    (tmp_path / "end").touch()
    snapshot = jobs.wait_for(job, "SUCCESS")
    assert history(snapshot)[-1] == (2, 0, "SUCCESS")


def test_what_was_done_before_the_worker_died_is_still_shown(jobs: Jobs) -> None:
    snapshot = jobs.wait_for(submit(tasks.die).id, "FAILURE")
    assert (snapshot["current"], snapshot["total"]) == (3, 10)


def test_a_soft_time_limit_may_end_well(jobs: Jobs) -> None:
    jobs.wait_for(submit(tasks.long_and_tidy).id, "SUCCESS")


def test_an_ignored_task_has_ended(jobs: Jobs) -> None:
    jobs.wait_for(submit(tasks.ignore).id, "SUCCESS")


def test_a_replaced_task_goes_on_as_the_other(jobs: Jobs) -> None:
    job = submit(tasks.replace, [5])
    snapshot = jobs.wait_for(job.id, "SUCCESS")
    assert snapshot["task"] == "tests.sender.bridged_tasks.count"
    # The first run's RETRY may come after the second run's end; its line is corrected then.
    wait_until(lambda: [s for *_, s in history(jobs.snapshot(job.id))] == ["RETRY", "SUCCESS"])


@pytest.mark.parametrize("task", ["replace_by_group", "replace_by_plain"])
def test_a_task_replaced_by_one_that_is_not_bridged_ends_with_it(jobs: Jobs, task: str) -> None:
    """Of a group Celery makes a chord, whose body is Celery's own task."""
    job = submit(getattr(tasks, task))
    jobs.wait_for(job.id, "SUCCESS")
    wait_until(lambda: [s for *_, s in history(jobs.snapshot(job.id))] == ["RETRY", "SUCCESS"])


UNDECORATED: dict[str, tuple[Any, list[str]]] = {
    "task": (tasks.plain, ["SUCCESS"]),
    "failure": (tasks.plain_failure, ["FAILURE"]),
    "retry": (tasks.plain_retry, ["RETRY", "SUCCESS"]),
    "by its name": ("tests.sender.bridged_tasks.plain", ["SUCCESS"]),
    "chain": (chain(tasks.count.si(1), tasks.plain.si()), ["SUCCESS"]),
    "chain that fails before": (chain(tasks.fail.si("x"), tasks.plain.si()), []),
    "Celery's own": (tasks.count.starmap([(1,), (2,)]), ["SUCCESS"]),
}


@pytest.mark.parametrize("user", [None, "ann"])
@pytest.mark.parametrize("name", UNDECORATED)
def test_what_is_submitted_without_the_decorator_tells_how_it_ends(
    jobs: Jobs, name: str, user: str | None
) -> None:
    task, states = UNDECORATED[name]
    job = submit(task, user=user)
    snapshot = jobs.wait_for(job.id, "SUCCESS", "FAILURE")
    assert (snapshot["user"], snapshot["result"]) == (user, None)
    wait_until(lambda: [s for *_, s in history(jobs.snapshot(job.id))] == states)


def test_a_job_without_the_decorator_that_is_terminated_is_revoked(jobs: Jobs) -> None:
    job = submit(tasks.plain_wait, [60])
    jobs.wait_for(job.id, "STARTED")
    jobs.app.control.revoke(job.id, terminate=True)
    assert jobs.wait_for(job.id, "SUCCESS", "REVOKED")["state"] == "REVOKED"


def test_a_running_job_is_cancelled_at_its_next_step(jobs: Jobs) -> None:
    job = submit(tasks.work, [60])
    jobs.wait_for(job.id, "PROGRESS")
    assert jobs.journal.cancel(job.id) == "ok"
    snapshot = jobs.wait_for(job.id, "REVOKED")
    assert snapshot["current"] > 0
    assert jobs.app.AsyncResult(job.id).state == "REVOKED"
    assert jobs.journal.cancel(job.id) == "finished"


def test_except_exception_does_not_eat_a_cancel(jobs: Jobs) -> None:
    job = submit(tasks.guarded)
    jobs.wait_for(job.id, "PROGRESS")
    jobs.journal.cancel(job.id)
    jobs.wait_for(job.id, "REVOKED")


def test_a_queued_job_that_is_cancelled_never_runs(jobs: Jobs) -> None:
    job = submit(tasks.work, [60], countdown=1)
    assert jobs.journal.cancel(job.id) == "ok"
    snapshot = jobs.wait_for(job.id, "REVOKED")
    assert snapshot["current"] is None


def test_revoke_ends_a_queued_and_a_running_job(jobs: Jobs) -> None:
    queued = submit(tasks.work, [60], countdown=2)
    jobs.app.control.revoke(queued.id)
    running = submit(tasks.work, [60])
    jobs.wait_for(running.id, "PROGRESS")
    jobs.app.control.revoke(running.id, terminate=True, signal="SIGKILL")
    assert jobs.wait_for(running.id, "REVOKED")["current"] > 0
    jobs.wait_for(queued.id, "REVOKED")


def test_a_node_with_a_celery_app_terminates_a_task_that_never_looks(
    jobs: Jobs, tmp_path: Path
) -> None:
    settings = jobs.settings
    bridge = Bridge(
        Flask(__name__), celery=jobs.app, message_queue=settings.message_queue,
        channel=settings.channel, secret_key=settings.secret_key, async_mode="threading",
    )  # fmt: skip
    job = submit(tasks.stand_by, [str(tmp_path)], actions=["watch", "cancel"])
    jobs.wait_for(job.id, "STARTED")
    wait_until((tmp_path / "1").exists)
    answer = bridge._app.test_client().post(
        f"/bridge/jobs/{job.id}/cancel?terminate=true&token={job.token}"
    )
    assert answer.get_json() == {"ok": True}
    jobs.wait_for(job.id, "REVOKED")
    wait_until(lambda: lease_of(int((tmp_path / "1").read_text())) is None, what="its death")
    bridge.stop()


def test_logs_arrive_as_events_when_asked_for(jobs: Jobs) -> None:
    job = submit(tasks.talk)
    jobs.wait_for(job.id, "SUCCESS")
    lines = [event["data"] for event in jobs.events(job.id) if event["name"] == "log"]
    assert lines == [
        {"level": "INFO", "logger": "a.library", "text": "from a library"},
        {"level": "WARNING", "logger": "other", "text": "watch out"},
    ]


def test_children_have_root_and_parent_and_inherit_the_user(jobs: Jobs) -> None:
    for task in (tasks.parent, tasks.plain_parent):
        job = submit(task, [3], user="ann")
        for child in _wait_for_children(jobs, job.id):
            snapshot = jobs.wait_for(child, "SUCCESS")
            assert (snapshot["root"], snapshot["parent"]) == (job.id, job.id)
            assert snapshot["user"] == "ann"


def _wait_for_children(jobs: Jobs, root: str) -> list[str]:
    def found() -> list[str]:
        listed = jobs.journal.list_jobs("user:ann", 10).jobs
        return [j for j in listed if j != root and jobs.snapshot(j).get("root") == root]

    wait_until(found)
    return found()


def test_every_part_of_a_workflow_is_a_job_of_its_root(jobs: Jobs) -> None:
    flow = chain(tasks.count.si(1), group(tasks.count.si(2), tasks.count.si(3)), tasks.bare.si())
    result = flow.apply_async()
    snapshot = jobs.wait_for(result.id, "SUCCESS")
    root = snapshot["root"]
    members = jobs.journal.list_jobs(f"root:{root}", 10).jobs
    assert len(members) == 3
    for member in members:
        jobs.wait_for(member, "SUCCESS")


def test_a_cancelled_member_of_a_chord_answers_it(jobs: Jobs) -> None:
    held = tasks.work.si(60).set(task_id="held-member")
    chord([held, tasks.count.si(1)])(tasks.bare.si())
    jobs.wait_for("held-member", "PROGRESS")
    jobs.journal.cancel("held-member")
    jobs.wait_for("held-member", "REVOKED")


def test_a_bridged_function_that_is_called_by_another_is_the_same_run(jobs: Jobs) -> None:
    job = submit(tasks.calls_another)
    snapshot = jobs.wait_for(job.id, "SUCCESS")
    assert history(snapshot) == [(1, 0, "SUCCESS")]
    assert snapshot["message"] == "half"


def test_a_forked_child_of_a_task_tells_its_events_itself(jobs: Jobs) -> None:
    job = submit(tasks.forks, [3])
    jobs.wait_for(job.id, "SUCCESS")
    names = [event["name"] for event in jobs.events(job.id)]
    assert sorted(names) == ["child", "child", "child", "parent"]


def test_programming_errors_are_raised_in_the_task(jobs: Jobs) -> None:
    job = submit(tasks.bad_events)
    jobs.wait_for(job.id, "SUCCESS")
    assert jobs.events(job.id)[-1]["data"] == ["ReservedName", "PayloadError", "PayloadTooLarge"]


def test_a_user_who_submits_by_name_needs_no_task_code(jobs: Jobs) -> None:
    job = submit("tests.sender.bridged_tasks.count", [4])
    jobs.wait_for(job.id, "SUCCESS")


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_other_pools_tell_the_same(jobs: Jobs, start_worker: Callable[..., Any], pool: str) -> None:
    queue = f"{jobs.settings.channel}-{pool}"
    with start_worker("-P", pool, "-c", "2", "-Q", queue):
        good = submit(tasks.count, [25], queue=queue)
        bad = submit(tasks.fail, queue=queue)
        again = submit(tasks.shared, [1], queue=queue)
        cancelled = submit(tasks.work, [60], queue=queue, countdown=1)
        jobs.journal.cancel(cancelled.id)
        assert jobs.wait_for(good.id, "SUCCESS")["current"] == 25
        assert len(jobs.events(good.id)) == 3
        jobs.wait_for(bad.id, "FAILURE")
        assert history(jobs.wait_for(again.id, "SUCCESS")) == [(1, 0, "RETRY"), (2, 1, "SUCCESS")]
        jobs.wait_for(cancelled.id, "REVOKED")


def test_what_waits_is_sent_before_a_child_ends(
    jobs: Jobs, start_worker: Callable[..., Any]
) -> None:
    queue = f"{jobs.settings.channel}-recycled"
    with start_worker("-c", "1", "--max-tasks-per-child", "1", "-Q", queue):
        started = [submit(tasks.count, [11], queue=queue) for _ in range(4)]
        for job in started:
            jobs.wait_for(job.id, "SUCCESS")
            assert len(jobs.events(job.id)) == 2


def test_a_worker_with_bad_settings_does_not_start(worker_environ: dict[str, str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tests.sender.bridged_tasks", "worker"],
        env={**os.environ, **worker_environ, "BRIDGE_LEAES": "3"},
        cwd=ROOT, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert ended.returncode != 0
    assert "BRIDGE_LEAES" in ended.stderr + ended.stdout
