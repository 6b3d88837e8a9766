"""What the host application's own pages are made of: `Bridge.look` and `Bridge.list_jobs`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask

from bridge import Bridge
from bridge.settings import Settings
from tests.nodes import Worker
from tests.relay.guest import LoginNode


@pytest.fixture(scope="module")
def login_node(shared_settings: Settings) -> Iterator[LoginNode]:
    node = LoginNode(shared_settings)
    yield node
    node.stop()


def page(node: LoginNode, job: str, user: str = "", **given: Any) -> tuple[int, Any]:
    headers = {"Cookie": node.cookies(user)} if user else {}
    headers |= {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = requests.get(f"{node.url}/page/{job}", headers=headers, timeout=10, **given)
    return answer.status_code, answer.json()


def test_the_session_decides_also_where_another_site_s_link_led_here(
    login_node: LoginNode, worker: Worker, job: str
) -> None:
    worker.state(job, "STARTED", user="anna", current=1)
    worker.event(job, "row", {"line": 7}, user="anna")

    status, told = page(login_node, job, "anna")

    assert status == 200
    assert told["snapshot"]["current"] == 1
    assert [event["data"] for event in told["events"]] == [{"line": 7}]
    assert told["actions"] == ["watch", "cancel"]
    refused = [page(login_node, each, user) for each in (job, "nothing") for user in ("", "ben")]
    assert refused == [(403, {"error": "forbidden"})] * 4


def test_a_token_decides_too(login_node: LoginNode, worker: Worker, job: str) -> None:
    worker.state(job, "STARTED", user="anna")
    token = worker.tokens.issue(jobs=[job, "nothing"])
    assert page(login_node, job, params={"token": token})[1]["actions"] == ["watch"]
    assert page(login_node, "nothing", params={"token": token}) == (404, {"error": "unknown_job"})
    assert page(login_node, "a b", params={"token": token}) == (400, {"error": "bad_request"})


def test_jobs_are_listed_newest_first_page_by_page(login_node: LoginNode, worker: Worker) -> None:
    user = uuid.uuid4().hex
    jobs = [f"{user}-{number}" for number in range(3)]
    for each in jobs:
        worker.state(each, "STARTED", user=user)
    first = requests.get(f"{login_node.url}/list/{user}", timeout=30).json()
    cursor = {"cursor": first["cursor"]}
    rest = requests.get(f"{login_node.url}/list/{user}", params=cursor, timeout=30).json()
    assert first["jobs"] == [jobs[2], jobs[1]]
    assert rest == {"jobs": [jobs[0]], "cursor": None}


def test_one_thing_is_listed_at_a_time(settings: Settings) -> None:
    bridge = Bridge(Flask("host"), secret_key=settings.secret_key, async_mode="threading")
    with pytest.raises(ValueError, match="one of user= and root="):
        bridge.list_jobs(user="u", root="r")
