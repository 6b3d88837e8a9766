"""A worker and all its children are killed: who watches is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from bridge import submit
from bridge.settings import Settings
from tests.conftest import RedisServer, wait_until
from tests.e2e.conftest import ROOT
from tests.nodes import SECRET, Client, Worker, running

pytestmark = [pytest.mark.e2e, pytest.mark.redis]


def test_a_killed_workers_job_is_lost_on_the_screen(
    shared_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "BRIDGE_MESSAGE_QUEUE": shared_redis.url.replace("/0", "/9"),
        "BRIDGE_CHANNEL": f"dies-{uuid.uuid4().hex}",
        "BRIDGE_SECRET_KEY": SECRET,
        "BRIDGE_LEASE": "2",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    log = tmp_path / "worker.log"
    with log.open("wb") as stream:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "-c", "1",
             "-l", "INFO"],
            env={**os.environ, **given}, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        wait_until(lambda: b" ready." in log.read_bytes(), seconds=40, what="the worker")
        with running(settings, BRIDGE_LEASE="2") as node:
            from celery import Celery

            app = Celery("starts", broker=settings.message_queue, set_as_current=True)
            monkeypatch.setattr("bridge.sender.submit.settings_of", lambda: settings)
            job = submit("workers.metronome", kwargs={"steps": 600, "interval": 0.1},
                         queue="workers")  # fmt: skip
            client = Client(node.url)
            client.ask("watch", {"job": job.id, "token": job.token})

            def states() -> list[str]:
                return [data["state"] for name, data in client.received if name == "progress"]

            wait_until(lambda: "PROGRESS" in states(), seconds=20)
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
            wait_until(lambda: "LOST" in states(), seconds=20)
            assert "FAILURE" not in states(), "it is redeliverable"
            assert Worker(settings).journal.vital_signs([job.id])[0].verdict == "LOST"
            client.close()
            app.close()
    finally:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
