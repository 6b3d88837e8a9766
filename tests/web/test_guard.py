from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import Client, TestResponse

from web.guard import HEADERS, SAFE_METHODS, secured

Submitted = list[tuple[str, dict[str, Any], dict[str, Any]]]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost"},
        {"Origin": "https://localhost", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_our_page_and_programs_pass(
    client: FlaskClient, submitted: Submitted, headers: dict[str, str]
) -> None:
    assert client.post("/demo/jobs/metronome", json={}, headers=headers).status_code == 201
    assert len(submitted) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "nonsense"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:8080"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_other_sites_are_refused(
    client: FlaskClient, submitted: Submitted, headers: dict[str, str]
) -> None:
    response = client.post("/demo/jobs/metronome", json={}, headers=headers)
    assert (response.status_code, (response.json or {})["error"]) == (403, "forbidden")
    assert submitted == []


def answers(app: Flask, client: FlaskClient) -> Iterator[tuple[str, TestResponse]]:
    """Every route, with every method that it has and one that it hasn't, and what is no route."""
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        for method in sorted({*(rule.methods or ()), "TRACE"}):
            yield f"{method} {path}", client.open(path, method=method)
    for path in ("/nothing", "/demo/", "/static/../x", "/static/nothing", "/bridge/jobs/%00", "//"):
        yield path, client.get(path)
    for path in ("/static/page.css", "/bridge/task-progress.js", "/demo/jobs/metronome"):
        yield f"HEAD {path}", client.head(path)
    yield "not modified", client.get("/static/page.css", headers={"If-None-Match": "*"})
    yield "too large", client.post("/demo/jobs/metronome", data={"steps": "1" * 200_000})
    yield "polling", client.get("/socket.io/?EIO=4&transport=polling")
    yield (
        "another site polls",
        client.get(
            "/socket.io/?EIO=4&transport=polling", headers={"Origin": "https://evil.example"}
        ),
    )
    yield "bad polling", client.post("/socket.io/?EIO=4&transport=polling&sid=x", data=b"\xff")


def test_every_answer_has_the_security_headers(app: Flask, client: FlaskClient) -> None:
    app.testing = False  # Else an error is raised here rather than answered.
    seen = set()
    for what, response in answers(app, client):
        with response:
            seen.add(response.status_code)
            for name, value in HEADERS.items():
                assert response.headers.getlist(name) == [value], what
            assert "unsafe" not in response.headers["Content-Security-Policy"], what
            assert response.headers["Cache-Control"] in ("no-store", "no-cache"), what
    app.extensions["celery-bridge"].stop()
    assert {200, 304, 400, 403, 404, 405, 413, 503} <= seen, "all kinds of answers were looked at"


def test_an_error_of_ours_has_them_too(app: Flask) -> None:
    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("a secret")

    app.testing = False
    app.config["PROPAGATE_EXCEPTIONS"] = False
    response = app.test_client().get("/broken")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert {name: response.headers[name] for name in HEADERS} == HEADERS


def test_a_header_that_an_answer_sets_itself_stays() -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("referrer-policy", "no-referrer"), ("CACHE-CONTROL", "private")])
        return []

    response = Client(secured(application)).get("/")
    assert response.headers.getlist("Referrer-Policy") == ["no-referrer"]
    assert response.headers.getlist("Cache-Control") == ["private"]
    assert response.headers["X-Frame-Options"] == "DENY"


def test_every_route_that_changes_something_refuses_other_sites(app: Flask) -> None:
    client, changing = app.test_client(), []
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        for method in (rule.methods or set()) - SAFE_METHODS:
            changing.append(path)
            for headers in (
                {"Sec-Fetch-Site": "cross-site"},
                {"Sec-Fetch-Site": "same-site"},
                {"Origin": "https://evil.example"},
                {"Origin": "null"},
            ):
                response = client.open(path, method=method, headers=headers)
                assert response.status_code == 403, (path, headers)
                if path.startswith(("/demo/", "/bridge/")):
                    assert (response.json or {})["error"] == "forbidden"
    assert {"/demo/jobs/x", "/demo/jobs/x/link", "/sign-in", "/sign-out"} <= set(changing)
    assert "/bridge/jobs/x/cancel" in changing
