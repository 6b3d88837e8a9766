from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from web.guard import HEADERS

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


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/demo/jobs/metronome", "/static/page.css", "/static/nothing"]
)
def test_every_answer_has_the_security_headers(client: FlaskClient, path: str) -> None:
    with client.get(path) as response:
        for name, value in HEADERS.items():
            assert response.headers[name] == value
        assert "unsafe" not in response.headers["Content-Security-Policy"]
