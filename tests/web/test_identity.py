"""A fresh token is for the browser that started the job, and for nobody else."""

from __future__ import annotations

import dataclasses
import json
import time
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient

from bridge import Bridge
from bridge.errors import Forbidden
from bridge.settings import Settings
from bridge.tokens import Tokens
from web import demo, remembered
from web.app import create_app
from web.settings import DemoSettings

Submitted = list[tuple[str, dict[str, Any], dict[str, Any]]]
KEY = "a secret for tests only"


def start(client: FlaskClient, **headers: str) -> str:
    response = client.post("/demo/jobs/metronome", json={}, headers=headers)
    assert response.status_code == 201
    assert response.json is not None
    return str(response.json["job"])


def ask(client: FlaskClient, job: str, **headers: str) -> tuple[int, dict[str, Any]]:
    response = client.get(f"/demo/jobs/{job}/token", headers=headers)
    assert response.headers["Cache-Control"] == "no-store"
    return response.status_code, response.json or {}


def test_the_browser_that_started_a_job_gets_a_fresh_token(
    client: FlaskClient, submitted: Submitted
) -> None:
    job, other = start(client), start(client)
    status, told = ask(client, job)
    assert (status, told["expires_in"]) == (200, 3600)
    tokens = Tokens([KEY], seconds=60)
    for action in ("watch", "cancel"):
        assert tokens.check(told["token"], action, job=job).ids == {job}
        with pytest.raises(Forbidden):
            tokens.check(told["token"], action, job=other)
    assert ask(client, other)[0] == 200


def test_nobody_else_does_whether_the_job_exists_or_not(
    app: Flask, client: FlaskClient, submitted: Submitted
) -> None:
    job = start(client)
    stranger = app.test_client()
    assert ask(stranger, job) == ask(stranger, "nothing")
    assert ask(stranger, job)[0] == 403
    start(stranger)
    assert ask(stranger, job)[0] == 403
    assert ask(client, "nothing")[0] == 403


def test_another_site_gets_none_with_our_cookie(client: FlaskClient, submitted: Submitted) -> None:
    job = start(client)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert ask(client, job, **headers)[0] == 403


def forged(app: Flask, key: str | None, value: Any) -> str:
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None
    serializer.secret_keys = [key or KEY]
    return str(serializer.dumps(value))


@pytest.mark.parametrize("jobs", [["job-1"], "job-1", None, 5, {"job-1": 1}, [["job-1"]]])
def test_a_forged_cookie_is_none(
    app: Flask, client: FlaskClient, submitted: Submitted, jobs: Any
) -> None:
    start(client)
    stranger = app.test_client()
    for cookie in (
        forged(app, "a key that is not ours", {"jobs": jobs}),
        forged(app, None, {"jobs": jobs})[:-2] + "AA",
        json.dumps({"jobs": jobs}),
        Tokens([KEY], seconds=60).issue(jobs="job-1"),
    ):
        stranger.set_cookie(remembered.COOKIE, cookie, path="/demo")
        assert ask(stranger, "job-1")[0] == 403


@pytest.mark.parametrize("jobs", ["job-1", None, 5, {"job-1": 1}, [["job-1"]]])
def test_a_genuine_cookie_of_another_form_is_none(
    app: Flask, client: FlaskClient, submitted: Submitted, jobs: Any
) -> None:
    client.set_cookie(remembered.COOKIE, forged(app, None, {"jobs": jobs}), path="/demo")
    assert ask(client, "job-1")[0] == 403
    assert ask(client, start(client))[0] == 200


def test_the_cookie_is_for_our_scripts_and_requests_only(
    client: FlaskClient, submitted: Submitted
) -> None:
    start(client)
    cookie = client.get_cookie(remembered.COOKIE, path="/demo")
    assert cookie is not None
    assert (cookie.http_only, cookie.same_site, cookie.path) == (True, "Lax", "/demo")
    assert not cookie.secure
    assert cookie.expires is not None
    assert abs(cookie.expires.timestamp() - time.time() - Settings().retention) < 60
    start(client, **{"X-Forwarded-Proto": "https"})
    cookie = client.get_cookie(remembered.COOKIE, path="/demo")
    assert cookie is not None
    assert cookie.secure


def test_other_pages_set_no_cookie(client: FlaskClient) -> None:
    for path in ("/", "/healthz", "/nothing", "/bridge/task-progress.js"):
        with client.get(path) as response:
            assert "Set-Cookie" not in response.headers


def test_many_jobs_fit_into_a_cookie(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        demo, "submit", lambda *_, **__: SimpleNamespace(id=str(uuid.uuid4()), token="t")
    )
    jobs = [start(client) for _ in range(remembered.MOST + 5)]
    assert [ask(client, job)[0] for job in jobs] == [403] * 5 + [200] * remembered.MOST
    cookie = client.get_cookie(remembered.COOKIE, path="/demo")
    assert cookie is not None
    assert len(f"{remembered.COOKIE}={cookie.value}") < 4000


def test_a_cookie_outlives_a_rotation_of_keys(
    app: Flask, client: FlaskClient, submitted: Submitted, uploads: Path
) -> None:
    job = start(client)
    cookie = client.get_cookie(remembered.COOKIE, path="/demo")
    assert cookie is not None
    bridge: Bridge = app.extensions["celery-bridge"]
    for keys, status in (
        (("a new secret for tests", KEY), 200),
        (("a new secret for tests",), 403),
    ):
        settings = dataclasses.replace(bridge.settings, secret_key=keys)
        rotated = create_app(settings, DemoSettings(("/std/lib",), uploads))
        client = rotated.test_client()
        client.set_cookie(remembered.COOKIE, cookie.value, path="/demo")
        assert ask(client, job)[0] == status


def test_where_all_is_public_there_are_jobs_without_tokens(
    uploads: Path, submitted: Submitted, app: Flask
) -> None:
    settings = Settings.load({"public": True, "async_mode": "threading"}, environ={})
    public = create_app(settings, DemoSettings(("/std/lib",), uploads))
    assert start(public.test_client()) == "job-1"
