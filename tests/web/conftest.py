"""The web node as Flask's test client sees it, and as browsers do, on a demo that really runs.

For the test client the journal is a dict, and what would be enqueued is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, expect

from bridge import Bridge
from bridge.journal import Page
from bridge.records import Reading, blank_record
from bridge.relay.reader import Reader
from bridge.rooms import ALL_JOBS
from bridge.settings import Settings
from tests.conftest import redis_server_or_skip
from tests.web.visitor import PATIENCE_MS, Demo, Visitor, running_demo
from web import demo
from web.app import create_app
from web.settings import DemoSettings

Submitted = list[tuple[str, dict[str, Any], dict[str, Any]]]
KEY = "a secret for tests only"


class Known:
    """What the journal knows."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.lists: list[tuple[str, int, str | None]] = []

    def add(self, job: str, state: str = "PROGRESS", **fields: Any) -> dict[str, Any]:
        rev = 1000 + len(self.records)
        numbers = {"rev": rev, "run": 1, "last_seq": 0, "epoch": rev, "runs": []}
        record = {**blank_record(job, "tests.import_rows"), **numbers, "state": state, **fields}
        self.records[job] = record
        return record

    def read(self, requests: list[tuple[str, int]]) -> list[Reading]:
        return [self._reading(job, since) for job, since in requests]

    def list_jobs(self, room: str, limit: int, cursor: str | None = None) -> Page:
        self.lists.append((room, limit, cursor))
        kind, _, ident = room.partition(":")
        newest_first = list(reversed(self.records.values()))
        found = [r["job"] for r in newest_first if room == ALL_JOBS or r.get(kind) == ident]
        start = int(cursor or 0)
        end = start + limit
        return Page(found[start:end], str(end) if len(found) > end else None)

    def _reading(self, job: str, since: int) -> Reading:
        events = self.events.get(job, []) if since >= 0 else []
        record = self.records.get(job)
        found = [event for event in events if event["seq"] > since]
        return Reading(record, found, False, record["last_seq"] if record else 0)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Known:
    """The journal of `app`, to be filled."""
    journal = Known()
    monkeypatch.setattr(Reader, "read", lambda _, requests: journal.read(requests))
    monkeypatch.setattr(Reader, "list_jobs", lambda _, *of: journal.list_jobs(*of))
    return journal


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """Where uploads would lie; it isn't there before the first one."""
    return tmp_path / "uploads"


@pytest.fixture
def make_app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Flask]]:
    """Makes apps like `create_app`."""
    # Else the first request would start a relay, which most of these tests don't need.
    monkeypatch.setattr(Bridge, "start", lambda self: None)
    made: list[Flask] = []

    def make(settings: Settings, demo_settings: DemoSettings) -> Flask:
        made.append(create_app(settings, demo_settings))
        return made[-1]

    yield make
    for each in made:
        each.extensions["celery-bridge"].stop()


@pytest.fixture
def app(uploads: Path, make_app: Callable[..., Flask]) -> Flask:
    settings = Settings.load(
        {
            "secret_key": KEY,
            "async_mode": "threading",
            "message_queue": "redis://127.0.0.1:1/0",  # Nobody answers there.
        },
        environ={},
    )
    demo_settings = DemoSettings(("/std/lib", "/data"), uploads, 100_000, accounts=True)
    made = make_app(settings, demo_settings)
    made.testing = True
    return made


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def signed_in(app: Flask) -> Callable[[str], FlaskClient]:
    """Makes the browser of somebody who has signed in."""

    def make(name: str) -> FlaskClient:
        browser = app.test_client()
        answer = browser.post("/sign-in", data={"name": name, "password": f"{name}-demo"})
        assert answer.status_code == 303, answer.text
        return browser

    return make


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> Submitted:
    """What was enqueued: (task, arguments, options)."""
    calls: Submitted = []

    def submit(task: str, *, kwargs: dict[str, Any], **options: Any) -> SimpleNamespace:
        calls.append((task, kwargs, options))
        return SimpleNamespace(id=f"job-{len(calls)}", token="a token")

    monkeypatch.setattr(demo, "submit", submit)
    return calls


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for all tests with a browser; whoever needs a user alone is a guest."""
    folder = tmp_path_factory.mktemp("demo")
    redis = redis_server_or_skip(folder)
    expect.set_options(timeout=PATIENCE_MS)
    try:
        with running_demo(redis, folder) as demo:
            yield demo
    finally:
        redis.stop()


@pytest.fixture
def visitors(chromium: Browser, running: Demo) -> Iterator[Callable[..., Visitor]]:
    """Makes visitors; none of their pages may have complained in the end."""
    made: list[Visitor] = []

    def make(**options: Any) -> Visitor:
        made.append(Visitor(chromium, running, **options))
        return made[-1]

    yield make
    for visitor in made:
        visitor.leave()


@pytest.fixture
def visitor(visitors: Callable[..., Visitor], request: pytest.FixtureRequest) -> Iterator[Visitor]:
    """A guest; the page that they saw last is kept as a picture."""
    made = visitors()
    yield made
    made.picture(f"last-{request.node.name}")
