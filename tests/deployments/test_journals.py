"""The end-to-end suite for each journal. What a journal doesn't promise is left out by its name."""

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
from tests.deployments.suite import Place, run_whole
from tests.deployments.ways import Served, Way
from tests.nodes import SECRET

pytestmark = pytest.mark.e2e
ALONE = Way(
    "all in one process",
    "python -m tests.deployments.alone PORT",
    "threading",
    program=Path(sys.executable),
)


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
