"""The bare node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from bridge.relay.bare import PROTECTION, bare_app
from bridge.settings import Settings


@pytest.fixture
def web(settings: Settings) -> Iterator[FlaskClient]:
    app, bridge = bare_app(
        message_queue=settings.message_queue, channel=settings.channel,
        secret_key=settings.secret_key, async_mode="threading",
    )  # fmt: skip
    yield app.test_client()
    bridge.stop()


@pytest.mark.parametrize(
    "path", ["/healthz", "/bridge/jobs/a", "/bridge/task-progress.js", "/none", "/"]
)
def test_every_answer_is_protected(web: FlaskClient, path: str) -> None:
    answer = web.get(path)

    assert PROTECTION.items() <= dict(answer.headers).items()


def test_an_unknown_address_and_a_wrong_method_are_told_in_json(web: FlaskClient) -> None:
    unknown, wrong = web.get("/none"), web.get("/bridge/jobs/a/cancel")

    assert (unknown.status_code, unknown.json["error"]) == (404, "bad_request")  # type: ignore[index]
    assert (wrong.status_code, wrong.json["error"]) == (405, "bad_request")  # type: ignore[index]
    assert "POST" in wrong.headers["Allow"]
