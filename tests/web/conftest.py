"""The web node as Flask's test client sees it; what it would enqueue is written down."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from bridge import Bridge
from bridge.settings import Settings
from web import demo
from web.app import create_app
from web.settings import DemoSettings

Submitted = list[tuple[str, dict[str, Any], dict[str, Any]]]


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """Where uploads would lie; it isn't there before the first one."""
    return tmp_path / "uploads"


@pytest.fixture
def app(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    # Else the first request would start a relay, which these tests don't need.
    monkeypatch.setattr(Bridge, "start", lambda self: None)
    settings = Settings.load(
        {
            "secret_key": "a secret for tests only",
            "async_mode": "threading",
            "message_queue": "redis://127.0.0.1:1/0",  # Nobody answers there.
        },
        environ={},
    )
    made = create_app(settings, DemoSettings(("/std/lib", "/data"), uploads, 100_000))
    made.testing = True
    return made


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> Submitted:
    """What was enqueued: (task, arguments, options)."""
    calls: Submitted = []

    def submit(task: str, *, kwargs: dict[str, Any], **options: Any) -> SimpleNamespace:
        calls.append((task, kwargs, options))
        return SimpleNamespace(id=f"job-{len(calls)}", token="a token")

    monkeypatch.setattr(demo, "submit", submit)
    return calls
