"""The whole end-to-end suite over each message queue, with a node and a worker of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pytest

from bridge.settings import Settings
from tests.conftest import RedisServer, redis_server_or_skip, wait_until
from tests.deployments.conftest import THREADS, Backstage, wait_for_step
from tests.deployments.queues import QUEUES, RABBITMQ, Queue, rabbitmq
from tests.deployments.suite import INTERVAL, Place, run_whole, states
from tests.nodes import SECRET, running
from tests.security.conftest import celery_worker

pytestmark = [pytest.mark.e2e, pytest.mark.redis]


@pytest.fixture(scope="module")
def celerys_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Celery's own broker and result backend: it has other words for some of these URLs."""
    server = redis_server_or_skip(tmp_path_factory.mktemp("celery"))
    yield server
    server.stop()


@pytest.fixture(params=[*QUEUES, pytest.param(RABBITMQ, marks=pytest.mark.rabbitmq)])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Queue]:
    if request.param == RABBITMQ:
        fixture = request.getfixturevalue
        starting = rabbitmq(fixture("shared_rabbit"), fixture("redis_url"))
    else:
        starting = QUEUES[request.param](tmp_path)
    with starting as made:
        yield made


@pytest.fixture
def place(queue: Queue, celerys_redis: RedisServer, tmp_path: Path) -> Iterator[Place]:
    common = {
        "BRIDGE_CHANNEL": queue.channel or f"row-{uuid.uuid4().hex}", "BRIDGE_LEASE": "1",
        "BRIDGE_SECRET_KEY": SECRET, "DEMO_UPLOADS": str(tmp_path / "uploads"),
    }  # fmt: skip
    if queue.journal is not None:
        common["BRIDGE_JOURNAL"] = queue.journal
    celery = {
        "CELERY_BROKER_URL": celerys_redis.url, "CELERY_RESULT_BACKEND": celerys_redis.url
    }  # fmt: skip
    worker = {**common, "BRIDGE_MESSAGE_QUEUE": queue.worker}
    node = Settings.load(environ={**common, "BRIDGE_MESSAGE_QUEUE": queue.node})
    log = tmp_path / "worker.log"
    with (
        celery_worker(log, {**worker, **celery}, options=THREADS),
        running(node, BRIDGE_LEASE="1") as served,
    ):
        backstage = Backstage(tmp_path, worker, celerys_redis.url)
        yield Place(backstage, served.url)
        backstage.close()
        assert not [line for line in served.log if "Traceback" in line], "\n".join(served.log)


def test_the_whole_suite_over_a_message_queue(queue: Queue, place: Place) -> None:
    run_whole(place)
    if queue.fail_over is not None:
        live_through_a_failover(queue, place)


def live_through_a_failover(queue: Queue, place: Place) -> None:
    """In the middle of a job; what the new master may lack is a matter of `tests/faults`."""
    with place.client() as client:
        job = place.start("metronome", steps=120, interval=INTERVAL)
        client.ask("watch", job)
        wait_for_step(place.url, job, 10)
        assert queue.fail_over is not None
        queue.fail_over()
        wait_until(lambda: "SUCCESS" in states(client), what="the end of the job")
        told = [data for name, data in client.received if name == "progress"]
        highest = list(accumulate((state["rev"] for state in told), max))
        newer = [state for state, rev in zip(told, highest, strict=True) if state["rev"] == rev]
        figures = [state["current"] for state in newer if state["current"] is not None]
        assert figures == sorted(figures)
        assert figures[-1] == 120
