"""A real Celery worker on a real Redis, and the journal that it writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from bridge.journal import open_journal
from bridge.sender.process import _settings
from bridge.settings import Settings
from tests.conftest import RedisServer, wait_until

ROOT = Path(__file__).parents[2]
SECRET = "a secret for tests only"


class Jobs:
    """What a test knows of jobs: the app that starts them, and what the journal says."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.journal = open_journal(settings)

    def snapshot(self, job: str) -> dict[str, Any]:
        return self.journal.read([(job, 0)])[0].snapshot or {}

    def events(self, job: str) -> list[dict[str, Any]]:
        return self.journal.read([(job, 0)])[0].events

    def wait_for(self, job: str, *states: str, seconds: float = 20) -> dict[str, Any]:
        wait_until(
            lambda: self.snapshot(job).get("state") in states,
            seconds=seconds,
            what=f"{states}, it is {self.snapshot(job).get('state')}",
        )
        return self.snapshot(job)


@contextmanager
def running_worker(environ: dict[str, str], *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process of its own group; ends with the test whatever happens."""
    log = Path(environ["TEST_FOLDER"]) / f"worker-{uuid.uuid4().hex[:6]}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "tests.sender.bridged_tasks", "worker",
             "-l", "INFO", "--without-gossip", "--without-mingle", *options],
            env={**os.environ, **environ}, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        wait_until(lambda: b" ready." in log.read_bytes(), seconds=40, what=f"the worker: {log}")
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="module")
def worker_environ(
    shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    name = f"test-{uuid.uuid4().hex}"
    port = shared_redis.port
    return {
        "BRIDGE_MESSAGE_QUEUE": shared_redis.url,
        "BRIDGE_CHANNEL": name,
        "BRIDGE_SECRET_KEY": SECRET,
        "TEST_BROKER": f"redis://127.0.0.1:{port}/1",
        "TEST_BACKEND": f"redis://127.0.0.1:{port}/2",
        "TEST_QUEUE": name,
        "TEST_FOLDER": str(tmp_path_factory.mktemp("worker")),
    }


@pytest.fixture(scope="module")
def jobs(worker_environ: dict[str, str]) -> Iterator[Jobs]:
    """The tasks' app, in this process, set up as the worker's."""
    patch = pytest.MonkeyPatch()
    for name, value in worker_environ.items():
        patch.setenv(name, value)
    from tests.sender.bridged_tasks import app

    app.conf.update(
        broker_url=worker_environ["TEST_BROKER"],
        result_backend=worker_environ["TEST_BACKEND"],
        task_default_queue=worker_environ["TEST_QUEUE"],
    )
    app.set_current()
    _settings.clear()
    yield Jobs(app, Settings.load())
    _settings.clear()
    patch.undo()


@pytest.fixture(scope="module")
def prefork(jobs: Jobs, worker_environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    queue = worker_environ["TEST_QUEUE"]
    with running_worker(worker_environ, "-c", "2", "-Q", queue) as process:
        yield process


@pytest.fixture
def start_worker(jobs: Jobs, worker_environ: dict[str, str]) -> Callable[..., Any]:
    def start(*options: str) -> Any:
        return running_worker(worker_environ, *options)

    return start
