"""Two Celery apps in one process, each with a channel and a secret of its own."""

from __future__ import annotations

import gc
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from bridge import Progress, push_progress, submit
from bridge.journal import RedisJournal, connect
from bridge.sender.process import _settings, settings_of
from bridge.settings import Settings
from bridge.tokens import Tokens
from tests.conftest import wait_until


def make(name: str, redis_url: str) -> Celery:
    app = Celery(name, broker="memory://", set_as_current=False)
    app.conf.update(
        task_always_eager=True, bridge_message_queue=redis_url,
        bridge_channel=f"{name}-{uuid.uuid4().hex}", bridge_secret_key=f"the secret of {name}",
    )  # fmt: skip

    @app.task(name="same.name", shared=False)
    @push_progress
    def work(*, progress: Progress) -> None:
        progress.update(1, message=name)

    return app


@pytest.fixture
def apps(redis_url: str) -> Iterator[list[Celery]]:
    made = [make(name, redis_url) for name in ("one", "two")]
    made[0].set_current()
    yield made
    for app in made:
        app.close()


def test_each_job_is_told_on_its_own_apps_channel(apps: list[Celery]) -> None:
    jobs = [submit(app.tasks["same.name"]) for app in apps]
    for app, job in zip(apps, jobs, strict=True):
        settings = Settings.load(config=app.conf, environ={})
        client = connect(settings.journal_url)
        journal = RedisJournal(client, settings)

        def read(ident: str, journal: RedisJournal = journal) -> dict[str, Any] | None:
            return journal.read([(ident, 0)])[0].snapshot

        wait_until(lambda: (read(job.id) or {}).get("state") == "SUCCESS")  # noqa: B023
        found = read(job.id)
        assert found is not None
        assert found["message"] == app.main
        (other,) = [each.id for each in jobs if each is not job]
        assert read(other) is None, "the other app's job is not here"
        assert Tokens(settings.secret_key, seconds=60).read(job.token).ids == {job.id}
        client.close()


def test_an_app_that_is_gone_hands_its_settings_to_nobody() -> None:
    app = Celery("gone", set_as_current=False)
    app.conf["bridge_channel"] = "its-own"
    assert settings_of(app).channel == "its-own"
    assert "gone" in [each.main for each in _settings]
    del app
    gc.collect()
    assert "gone" not in [each.main for each in _settings]
