"""The end-to-end suite for each journal. What a journal doesn't promise is left out by its name."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from bridge.settings import Settings
from tests.backends import backend_url
from tests.conftest import free_port
from tests.deployments.conftest import Backstage, start_at
from tests.deployments.suite import Place, run_whole
from tests.deployments.ways import Served, Way
from tests.nodes import SECRET, running
from tests.security.conftest import celery_worker

pytestmark = pytest.mark.e2e
ALONE = Way(
    "all in one process",
    "python -m tests.deployments.alone PORT",
    "threading",
    program=Path(sys.executable),
)


#: The message queue, and the result backend that is the journal: the last has no Redis at all.
ROWS = [
    ("redis", "sqlite"), ("amqp", "redis"), ("amqp", "sqlite"), ("amqp", "postgresql"),
]  # fmt: skip
WORKER = ("-P", "threads", "-c", "8", "--without-mingle", "--without-gossip")


@pytest.fixture(params=ROWS, ids=" and ".join)
def row(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The variables of a row."""
    queue, backend = request.param
    server = request.getfixturevalue("shared_rabbit" if queue == "amqp" else "shared_redis")
    return {
        "BRIDGE_MESSAGE_QUEUE": server.url,
        "BRIDGE_JOURNAL": "result-backend",
        "BRIDGE_RESULT_BACKEND": backend_url(backend, request, tmp_path),
        "BRIDGE_CHANNEL": f"row-{uuid.uuid4().hex}",
        "BRIDGE_RATE_IDLE": "10",
        "BRIDGE_SECRET_KEY": SECRET,
        "DEMO_UPLOADS": str(tmp_path / "uploads"),
    }


@pytest.mark.rabbitmq
@pytest.mark.redis
def test_the_whole_suite_with_the_result_backend_as_journal(
    row: dict[str, str], tmp_path: Path
) -> None:
    node = Settings.load(environ=row)
    with (
        celery_worker(tmp_path / "worker.log", row, options=WORKER),
        running(node, BRIDGE_RESULT_BACKEND=row["BRIDGE_RESULT_BACKEND"]) as served,
    ):
        told = requests.get(f"{served.url}/readyz", timeout=30).json()["promises_off"]
        off = [each.partition(":")[0] for each in told]
        assert {"replay", "lists", "lost workers"} <= set(off)
        backstage = Backstage(tmp_path, row)
        run_whole(Place(backstage, served.url, off=off))
        backstage.close()
        assert not [line for line in served.log if "Traceback" in line], "\n".join(served.log)


class Inside:
    """Starts jobs in the process that serves, where nobody else could."""

    def start(self, task: str, url: str | None = None, **fields: Any) -> dict[str, str]:
        assert url is not None
        return start_at(url, task, **fields)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Served]:
    environ = {
        "BRIDGE_MESSAGE_QUEUE": "memory://",
        "BRIDGE_CHANNEL": f"alone-{uuid.uuid4().hex}",
        "BRIDGE_SECRET_KEY": SECRET,
        "DEMO_UPLOADS": str(tmp_path / "uploads"),
    }
    node = Served(ALONE, environ, free_port(), tmp_path / "node.log")
    yield node
    node.stop()
    log = node.log.read_text()
    asked_for = log.count("\nworkers.flaky.Breakdown: ")
    assert log.count("Traceback") == asked_for, log[-5000:]


def test_the_whole_suite_in_one_process(alone: Served) -> None:
    off = requests.get(f"{alone.url}/readyz", timeout=30).json()["promises_off"]
    assert [each.partition(":")[0] for each in off] == ["other processes", "durability"]
    run_whole(Place(Inside(), alone.url, is_app=True))
