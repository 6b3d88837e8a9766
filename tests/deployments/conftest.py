"""One Redis and one Celery worker for all ways to serve; jobs are started as a page would."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from celery import Celery

from bridge.settings import Settings
from bridge.tokens import Tokens
from tests.conftest import redis_server_or_skip, wait_until
from tests.nodes import SECRET
from tests.security.conftest import celery_worker

#: A worker that looks for no others starts a second sooner.
QUICK_START = ("--without-mingle", "--without-gossip")
THREADS = ("-P", "threads", "-c", "8", *QUICK_START)


class Backstage:
    """What is behind every node: the queue, a worker, and the settings that all share.

    Args:
        folder: for logs.
        environ: the worker's variables.
        broker: Celery's, if it is not the message queue.
    """

    def __init__(self, folder: Path, environ: dict[str, str], broker: str | None = None) -> None:
        self.folder = folder
        self.environ = environ
        self.settings = Settings.load(environ=environ)
        self.tokens = Tokens(self.settings.require_secret(), seconds=3600)
        broker = broker or self.settings.message_queue
        self._celery = Celery("tests", broker=broker, set_as_current=False)

    def close(self) -> None:
        """Close the connections to the broker."""
        self._celery.close()

    def start(self, task: str, url: str | None = None, **fields: Any) -> dict[str, str]:
        """Start one of our tasks; by the app at `url`, else without any."""
        if url is not None:
            return start_at(url, task, **fields)
        job = uuid.uuid4().hex
        self._celery.send_task(f"workers.{task}", kwargs=fields, task_id=job, queue="workers")
        return {"job": job, "token": self.tokens.issue(jobs=job, actions=("watch", "cancel"))}


@pytest.fixture(scope="session")
def backstage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backstage]:
    folder = tmp_path_factory.mktemp("deployments")
    redis = redis_server_or_skip(folder)
    environ = {
        "BRIDGE_MESSAGE_QUEUE": redis.url,
        "BRIDGE_CHANNEL": f"deployed-{uuid.uuid4().hex}",
        "BRIDGE_SECRET_KEY": SECRET,
        "DEMO_UPLOADS": str(folder / "uploads"),
    }
    try:
        made = Backstage(folder, environ)
        with celery_worker(folder / "worker.log", environ, options=THREADS):
            yield made
        made.close()
    finally:
        redis.stop()


def start_at(url: str, task: str, **fields: Any) -> dict[str, str]:
    """Start one of our tasks by our app."""
    answer = requests.post(f"{url}/demo/jobs/{task}", json=fields, timeout=30)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def snapshot(url: str, started: dict[str, str], **options: Any) -> dict[str, Any] | None:
    """What curl would be told of a job; None: nothing is known yet."""
    answer = requests.get(
        f"{url}/bridge/jobs/{started['job']}",
        headers={"Authorization": f"Bearer {started['token']}"},
        timeout=20,
        **options,
    )
    if answer.status_code == 404:
        return None
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["snapshot"])


def wait_for_step(url: str, started: dict[str, str], step: int) -> None:
    """Wait until a job is so far."""

    def reached() -> bool:
        state = snapshot(url, started)
        return state is not None and (state["current"] or 0) >= step

    wait_until(reached, seconds=30, what=f"step {step}")
