"""The mirror with a real prefork worker, whose parent ends what a child can't; and Flower."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bridge import submit
from bridge.sender.mirror import Mirror
from bridge.sender.pen import Pen
from bridge.sender.process import outbox_of
from tests.conftest import free_port, wait_until
from tests.nodes import holds_for
from tests.sender import bridged_tasks as tasks
from tests.sender.conftest import ROOT, Jobs

pytestmark = [
    pytest.mark.redis,
    pytest.mark.usefixtures("prefork"),
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]


@pytest.fixture(scope="module")
def worker_environ(worker_environ: dict[str, str]) -> dict[str, str]:
    return {**worker_environ, "BRIDGE_MIRROR": "true", "BRIDGE_RATE_IDLE": "20"}


@pytest.fixture(scope="module")
def flower(jobs: Jobs, worker_environ: dict[str, str]) -> Iterator[str]:
    port = free_port()
    with (Path(worker_environ["TEST_FOLDER"]) / "flower.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "tests.sender.bridged_tasks", "flower",
             "--address=127.0.0.1", f"--port={port}"],
            env={**os.environ, **worker_environ, "FLOWER_UNAUTHENTICATED_API": "true"},
            cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: process.poll() is not None or answers(url), what="Flower")
    yield url
    process.terminate()
    process.wait(20)


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthcheck", timeout=5).ok
    except requests.RequestException:
        return False


def stand_by(jobs: Jobs, folder: Path) -> tuple[str, int]:
    """Start a task that waits; returns its id and its process, once it is mirrored."""
    job = submit(tasks.stand_by, [str(folder)]).id
    wait_until(lambda: (folder / "1").exists() and (folder / "1").read_text())
    (folder / "step").touch()
    wait_until(lambda: jobs.app.AsyncResult(job).state == "PROGRESS", what="the mirror")
    return job, int((folder / "1").read_text())


def test_flower_tells_the_state_and_the_result(jobs: Jobs, flower: str, tmp_path: Path) -> None:
    job, _ = stand_by(jobs, tmp_path)
    address = f"{flower}/api/task/result/{job}"
    assert requests.get(address, timeout=30).json()["state"] == "PROGRESS"
    (tmp_path / "end").touch()
    jobs.wait_for(job, "SUCCESS")
    told = requests.get(address, timeout=30).json()
    assert (told["state"], told["result"]) == ("SUCCESS", None)


@pytest.mark.parametrize(("task", "error"), [("die", "WorkerLostError"), ("too_long", "TimeLimit")])
def test_what_the_parent_ends_stays_ended(jobs: Jobs, task: str, error: str) -> None:
    job = submit(getattr(tasks, task)).id
    jobs.wait_for(job, "FAILURE")
    wait_until(lambda: jobs.app.AsyncResult(job).state == "FAILURE")
    assert error in type(jobs.app.AsyncResult(job).result).__name__
    assert holds_for(lambda: jobs.app.AsyncResult(job).state == "FAILURE")


def test_a_running_task_that_is_revoked_stays_revoked(jobs: Jobs, tmp_path: Path) -> None:
    job, _ = stand_by(jobs, tmp_path)
    jobs.app.control.revoke(job, terminate=True)
    jobs.wait_for(job, "REVOKED")
    wait_until(lambda: jobs.app.AsyncResult(job).state == "REVOKED")
    assert holds_for(lambda: jobs.app.AsyncResult(job).state == "REVOKED")


def test_the_parent_puts_right_what_a_dying_child_wrote(jobs: Jobs, tmp_path: Path) -> None:
    """The child's last write may come after its parent's; here it surely does."""
    job, child = stand_by(jobs, tmp_path)
    written = jobs.app.AsyncResult(job).info
    os.kill(child, signal.SIGKILL)
    jobs.wait_for(job, "FAILURE")
    mirror = outbox_of(jobs.settings).mirror
    assert isinstance(mirror, Mirror)
    jobs.app.backend.store_result(job, written, "PROGRESS")
    wait_until(lambda: jobs.app.AsyncResult(job).state == "FAILURE", what="the worker's parent")

    jobs.app.backend.store_result(job, {**written, "bridge_run": "another"}, "PROGRESS")
    mirror.look_after(Pen(job, written["bridge_run"], None), KeyError("x"), "FAILURE")
    assert mirror.settle(10)
    assert jobs.app.AsyncResult(job).state == "PROGRESS", "a later run's state is not touched"
