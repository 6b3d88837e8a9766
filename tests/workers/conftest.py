"""A `Progress` that writes down what a task tells, without a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge import Progress
from bridge.sender.run import Run

Seen = list[tuple[str, Any]]


@pytest.fixture
def events() -> Seen:
    """What was emitted: (name, data)."""
    return []


@pytest.fixture
def progress(events: Seen) -> Progress:
    return Progress(
        Run(job="a-job"),
        unit="B",
        send_event=lambda name, text: events.append((name, json.loads(text))),
    )


@pytest.fixture
def plain() -> Callable[[Any], Callable[..., Any]]:
    """Returns a task's function as it was written, without Celery and the bridge around it."""
    return lambda task: task.run.__wrapped__


@pytest.fixture
def upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], str]:
    """Puts a file where the web node would, and returns its name."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("DEMO_UPLOADS", str(folder))

    def put(content: bytes) -> str:
        name = f"{len(list(folder.iterdir())):032x}"
        (folder / name).write_bytes(content)
        return name

    return put
