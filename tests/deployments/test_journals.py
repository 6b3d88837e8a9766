"""The end-to-end suite for each journal. What a journal doesn't promise is skipped by its name."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import free_port
from tests.deployments.conftest import start_at
from tests.deployments.test_serving import (
    client,
    test_a_stream_of_events,
    test_cancel,
    test_failure_after_a_retry,
    test_late_then_live_with_everything_before,
    test_who_lost_the_connection_gets_what_was_missed,
    transport,
)
from tests.deployments.ways import Served, Way
from tests.nodes import SECRET

__all__ = [
    "client",
    "test_a_stream_of_events",
    "test_cancel",
    "test_failure_after_a_retry",
    "test_late_then_live_with_everything_before",
    "test_who_lost_the_connection_gets_what_was_missed",
    "transport",
]  # fmt: skip

pytestmark = pytest.mark.e2e
ALONE = Way(
    "all in one process",
    "python -m tests.deployments.alone PORT",
    "threading",
    program=Path(sys.executable),
)


@pytest.fixture(scope="module", params=[pytest.param("memory", id="memory:// and memory")])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("journals")
    environ = {
        "BRIDGE_MESSAGE_QUEUE": "memory://",
        "BRIDGE_CHANNEL": f"alone-{uuid.uuid4().hex}",
        "BRIDGE_SECRET_KEY": SECRET,
        "DEMO_UPLOADS": str(folder / "uploads"),
    }
    node = Served(ALONE, environ, free_port(), folder / "node.log")
    yield node
    node.stop()
    log = node.log.read_text()
    asked_for = log.count("\nworkers.flaky.Breakdown: ")
    assert log.count("Traceback") == asked_for, log[-5000:]


class Starter:
    """Starts jobs through the app that is served."""

    def __init__(self, served: Served) -> None:
        self.url = served.url

    def start(self, task: str, **fields: Any) -> dict[str, str]:
        return start_at(self.url, task, **fields)


@pytest.fixture
def jobs(served: Served) -> Starter:
    return Starter(served)


def test_readyz_names_the_promises_that_are_off(served: Served) -> None:
    off = requests.get(f"{served.url}/readyz", timeout=10).json()["promises_off"]
    assert [each.partition(":")[0] for each in off] == ["other processes", "durability"]
