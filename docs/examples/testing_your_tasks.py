"""Your own tests of tasks and pages: everything in one process, no server at all.

pip install 'celery-bridge[web]' pytest
pytest testing_your_tasks.py
"""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from flask import Flask
from flask.testing import FlaskClient

from bridge import Bridge, Progress, push_progress, submit
from bridge.sender.process import flush_all

celery = Celery("yours", broker="memory://", backend="cache+memory://")
celery.conf.update(BRIDGE_MESSAGE_QUEUE="memory://", BRIDGE_SECRET_KEY="only for these tests")


@celery.task(shared=False)
@push_progress(unit="rows", result=True)
def import_rows(total: int, *, progress: Progress) -> int:
    for row in progress.track(range(total), description="Importing"):
        if row % 10 == 0:
            progress.emit("row_rejected", {"line": row})
    return total


@pytest.fixture
def app() -> Iterator[Flask]:
    app = Flask("yours")
    bridge = Bridge(
        app, message_queue="memory://", async_mode="threading", secret_key="only for these tests"
    )
    with app.app_context():
        yield app
    bridge.stop()


@pytest.fixture
def page(app: Flask) -> FlaskClient:
    return app.test_client()


def snapshot(page: FlaskClient, job: Any) -> Any:
    flush_all()  # what the tasks of this process have told is in the journal now
    return page.get(f"/bridge/jobs/{job.id}?token={job.token}").get_json()


@pytest.fixture
def eager() -> Iterator[None]:
    celery.conf.task_always_eager = True
    yield
    celery.conf.task_always_eager = False


@pytest.mark.usefixtures("eager")
def test_eagerly(page: FlaskClient) -> None:
    job = submit(import_rows, [25])
    told = snapshot(page, job)
    assert (told["snapshot"]["state"], told["snapshot"]["result"]) == ("SUCCESS", 25)
    assert [event["data"]["line"] for event in told["events"]] == [0, 10, 20]


def test_live_with_a_worker_in_a_thread(page: FlaskClient) -> None:
    with start_worker(celery, pool="solo", perform_ping_check=False):
        job = submit(import_rows, [25])
        stream = page.get(f"/bridge/jobs/{job.id}/events?token={job.token}")
        for piece in stream.response:
            if b'"SUCCESS"' in piece:
                break
        stream.close()
    assert snapshot(page, job)["snapshot"]["current"] == 25
