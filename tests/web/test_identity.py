"""Who is who: guests and accounts, and that each gets at their own jobs only."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient

from bridge import Bridge
from bridge.errors import Forbidden
from bridge.settings import Settings
from bridge.tokens import Tokens
from web.identity import COOKIE
from web.settings import DemoSettings
from web.sign_in import onward

Submitted = list[tuple[str, dict[str, Any], dict[str, Any]]]
Browser = Callable[[str], FlaskClient]
KEY = "a secret for tests only"


def start(client: FlaskClient, submitted: Submitted, known: Any, **headers: str) -> str:
    """Start a job, of which the journal then knows; returns its id."""
    response = client.post("/demo/jobs/metronome", json={}, headers=headers)
    assert response.status_code == 201
    assert response.json is not None
    job = str(response.json["job"])
    known.add(job, user=submitted[-1][2]["user"])
    return job


def ask(client: FlaskClient, job: str, **headers: str) -> tuple[int, dict[str, Any]]:
    response = client.get(f"/demo/jobs/{job}/token", headers=headers)
    assert response.headers["Cache-Control"] == "no-store"
    return response.status_code, response.json or {}


def cookie_of(client: FlaskClient) -> Any:
    cookie = client.get_cookie(COOKIE)
    assert cookie is not None
    return cookie


def test_a_guest_is_the_same_one_for_all_jobs_of_a_browser(
    app: Flask, client: FlaskClient, submitted: Submitted, known: Any
) -> None:
    for _ in range(2):
        start(client, submitted, known)
    start(app.test_client(), submitted, known)
    first, second, stranger = (options["user"] for _, _, options in submitted)
    assert first == second != stranger
    assert first.startswith("guest-")


def test_who_signed_in_starts_jobs_as_that_user(
    signed_in: Browser, submitted: Submitted, known: Any
) -> None:
    start(signed_in("ann"), submitted, known)
    assert submitted[0][2]["user"] == "ann"


def test_whose_job_it_is_gets_a_fresh_token(
    client: FlaskClient, submitted: Submitted, known: Any
) -> None:
    job, other = (start(client, submitted, known) for _ in range(2))
    status, told = ask(client, job)
    assert (status, told["expires_in"]) == (200, 3600)
    tokens = Tokens([KEY], seconds=60)
    for action in ("watch", "cancel"):
        assert tokens.check(told["token"], action, job=job).ids == {job}
        with pytest.raises(Forbidden):
            tokens.check(told["token"], action, job=other)


def test_a_link_to_pass_on_shows_and_does_nothing_else(
    client: FlaskClient, submitted: Submitted, known: Any
) -> None:
    job = start(client, submitted, known)
    answer = client.post(f"/demo/jobs/{job}/link").json or {}
    claims = Tokens([KEY], seconds=60).check(answer["token"], "watch", job=job)
    assert list(claims.expiries) == ["watch"]
    assert abs(claims.expiries["watch"] - time.time() - 3600) < 60


def test_who_got_a_link_can_not_pass_on_another(
    app: Flask, client: FlaskClient, submitted: Submitted, known: Any
) -> None:
    job = start(client, submitted, known)
    token = (client.post(f"/demo/jobs/{job}/link").json or {})["token"]
    stranger = app.test_client()
    assert stranger.get(f"/jobs/{job}?token={token}").status_code == 200
    for path in (f"/demo/jobs/{job}/link?token={token}", f"/demo/jobs/{job}/link"):
        headers = {"Authorization": f"Bearer {token}"}
        assert stranger.post(path, headers=headers).status_code == 403


def test_nobody_else_gets_one_whether_the_job_exists_or_not(
    app: Flask, client: FlaskClient, submitted: Submitted, known: Any, signed_in: Browser
) -> None:
    job = start(client, submitted, known)
    guest = app.test_client()
    start(guest, submitted, known)
    for stranger in (app.test_client(), guest, signed_in("ann")):
        assert ask(stranger, job) == ask(stranger, "nothing")
        assert ask(stranger, job)[0] == 403
        answers = [stranger.post(f"/demo/jobs/{each}/link") for each in (job, "nothing")]
        assert [answer.status_code for answer in answers] == [403, 403]
        assert answers[0].data == answers[1].data


def test_an_admin_gets_all(
    client: FlaskClient, submitted: Submitted, known: Any, signed_in: Browser
) -> None:
    job = start(client, submitted, known)
    admin = signed_in("admin")
    assert ask(admin, job)[0] == 200
    assert ask(admin, "nothing")[0] == 404


def test_another_site_gets_none_with_our_cookie(
    client: FlaskClient, submitted: Submitted, known: Any
) -> None:
    job = start(client, submitted, known)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert ask(client, job, **headers)[0] == 403


def test_a_wrong_password_is_told_and_lets_nobody_in(client: FlaskClient, known: Any) -> None:
    for name, password in (("ann", "bob-demo"), ("nobody", ""), ("", "ann-demo"), ("ann", "")):
        answer = client.post("/sign-in", data={"name": name, "password": password})
        assert answer.status_code == 403
        assert "No account has this name and password" in answer.text
        assert "Set-Cookie" not in answer.headers


def test_signing_out_forgets_the_user(signed_in: Browser, known: Any) -> None:
    known.add("a-job", user="ann")
    browser = signed_in("ann")
    assert browser.get("/jobs/a-job").status_code == 200
    assert browser.post("/sign-out").status_code == 303
    assert browser.get_cookie(COOKIE) is None
    assert browser.get("/jobs/a-job").status_code == 403


def test_a_guest_who_signs_in_is_somebody_else(
    client: FlaskClient, submitted: Submitted, known: Any
) -> None:
    job = start(client, submitted, known)
    client.post("/sign-in", data={"name": "bob", "password": "bob-demo"})
    assert ask(client, job)[0] == 403


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        (None, "/jobs"),
        ("", "/jobs"),
        ("/", "/"),
        ("/jobs/x?q=1", "/jobs/x?q=1"),
        ("https://evil.example/", "/jobs"),
        ("//evil.example/", "/jobs"),
        ("///evil.example/", "/jobs"),
        ("/\\evil.example/", "/jobs"),
        ("\\/evil.example/", "/jobs"),
        ("/\t/evil.example/", "/jobs"),
        ("javascript:alert(1)", "/jobs"),
        ("evil.example", "/jobs"),
        ("/j\r\nSet-Cookie: a=b", "/jobs"),
        ("http://[", "/jobs"),
    ],
)
def test_signing_in_leads_to_a_page_of_ours(
    client: FlaskClient, asked: str | None, target: str
) -> None:
    assert onward(asked) == target
    sent = {"name": "ann", "password": "ann-demo", "next": asked or ""}
    assert client.post("/sign-in", data=sent).location == target


def forged(app: Flask, key: str | None, value: Any) -> str:
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None
    serializer.secret_keys = [key or KEY]
    return str(serializer.dumps(value))


def test_a_forged_cookie_is_none(app: Flask, known: Any) -> None:
    known.add("a-job", user="ann")
    for cookie in (
        forged(app, "a key that is not ours", {"_user_id": "admin"}),
        forged(app, None, {"_user_id": "admin"})[:-2] + "AA",
        '{"_user_id": "admin"}',
        Tokens([KEY], seconds=60).issue(user="ann"),
    ):
        stranger = app.test_client()
        stranger.set_cookie(COOKIE, cookie)
        assert stranger.get("/jobs/a-job").status_code == 403


@pytest.mark.parametrize("user", ["nobody", "", None, 5, ["ann"], {"a": 1}, "guest-"])
def test_a_genuine_cookie_of_nobody_is_none(app: Flask, known: Any, user: Any) -> None:
    known.add("a-job", user="ann")
    stranger = app.test_client()
    stranger.set_cookie(COOKIE, forged(app, None, {"_user_id": user}))
    assert stranger.get("/jobs/a-job").status_code == 403
    assert stranger.get("/jobs").status_code == 200


def test_the_cookie_is_for_our_scripts_and_requests_only(
    client: FlaskClient, submitted: Submitted, known: Any
) -> None:
    start(client, submitted, known)
    cookie = cookie_of(client)
    assert (cookie.http_only, cookie.same_site, cookie.path) == (True, "Lax", "/")
    assert not cookie.secure
    assert cookie.expires is not None
    assert abs(cookie.expires.timestamp() - time.time() - Settings().retention) < 60
    start(client, submitted, known, **{"X-Forwarded-Proto": "https"})
    assert cookie_of(client).secure


def test_looking_sets_no_cookie(client: FlaskClient, known: Any) -> None:
    for path in ("/", "/jobs", "/jobs/x", "/sign-in", "/healthz", "/nothing", "/demo/jobs"):
        with client.get(path) as response:
            assert "Set-Cookie" not in response.headers, path


def test_a_cookie_outlives_a_rotation_of_keys(
    app: Flask,
    client: FlaskClient,
    submitted: Submitted,
    known: Any,
    uploads: Path,
    make_app: Callable[..., Flask],
) -> None:
    job = start(client, submitted, known)
    cookie = cookie_of(client)
    bridge: Bridge = app.extensions["celery-bridge"]
    for keys, status in (
        (("a new secret for tests", KEY), 200),
        (("a new secret for tests",), 403),
    ):
        settings = dataclasses.replace(bridge.settings, secret_key=keys)
        rotated = make_app(settings, DemoSettings(("/std/lib",), uploads))
        client = rotated.test_client()
        client.set_cookie(COOKIE, cookie.value)
        assert ask(client, job)[0] == status


def test_without_accounts_nobody_signs_in_and_guests_remain(
    app: Flask,
    signed_in: Browser,
    submitted: Submitted,
    known: Any,
    uploads: Path,
    make_app: Callable[..., Flask],
) -> None:
    known.add("a-job", user="ann")
    cookie = cookie_of(signed_in("admin"))
    settings = app.extensions["celery-bridge"].settings
    client = make_app(settings, DemoSettings(("/std/lib",), uploads)).test_client()
    sent = {"name": "ann", "password": "ann-demo"}
    assert client.post("/sign-in", data=sent).status_code == client.get("/sign-in").status_code
    assert client.get("/sign-in").status_code == 404
    assert "Sign in" not in client.get("/jobs").text
    assert client.get(f"/jobs/{start(client, submitted, known)}").status_code == 200
    # A cookie of an account from before is nobody's.
    client.set_cookie(COOKIE, cookie.value)
    assert client.get("/jobs/a-job").status_code == 403


def test_where_all_is_public_there_are_jobs_without_tokens(
    uploads: Path,
    submitted: Submitted,
    known: Any,
    app: Flask,
    make_app: Callable[..., Flask],
) -> None:
    settings = Settings.load({"public": True, "async_mode": "threading"}, environ={})
    client = make_app(settings, DemoSettings(("/std/lib",), uploads)).test_client()
    job = start(client, submitted, known)
    assert client.get(f"/jobs/{job}").status_code == 200
    assert ask(client, job)[0] == 403, "nobody needs one"
