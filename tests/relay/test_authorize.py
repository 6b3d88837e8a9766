"""Sessions of Flask-Login decide: on a real node, with real cookies, also from another site."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask

from bridge.relay.authorize import Sessions, owner_only
from bridge.relay.caller import caller_of
from bridge.settings import Settings
from tests.nodes import Worker, holds_for
from tests.relay.guest import Guest, LoginNode

OTHER_SITE = "https://elsewhere.example.org"


@pytest.fixture(scope="module")
def login_node(shared_settings: Settings) -> Iterator[LoginNode]:
    node = LoginNode(shared_settings, BRIDGE_CORS_ORIGINS=OTHER_SITE)
    yield node
    node.stop()


@pytest.fixture
def anna_job(worker: Worker, job: str) -> str:
    worker.state(job, "STARTED", user="anna", current=1)
    return job


def ask(node: LoginNode, headers: dict[str, str], event: str, data: dict[str, Any]) -> Any:
    guest = Guest(node.url, headers)
    try:
        return guest.ask(event, data)
    finally:
        guest.close()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_the_owner_may_watch_and_cancel_by_her_cookies_alone(
    login_node: LoginNode, worker: Worker, anna_job: str, transport: str
) -> None:
    headers = {"Cookie": login_node.cookies("anna"), "Origin": login_node.url}
    guest = Guest(login_node.url, headers, transport)

    answer = guest.ask("watch", {"job": anna_job})

    assert answer["snapshot"]["current"] == 1
    assert answer["actions"] == ["watch", "cancel"]
    worker.state(anna_job, user="anna", current=2)
    guest.wait(2)
    assert guest.ask("cancel", {"job": anna_job}) == {"ok": True}
    line = next(line for line in login_node.log if f"job {anna_job}: cancel asked" in line)
    assert "by user 'anna' by session from 127.0.0.1: ok" in line
    guest.close()


def test_another_user_and_nobody_may_not_and_hear_the_same_of_an_unknown_job(
    login_node: LoginNode, anna_job: str
) -> None:
    headers = {"Origin": login_node.url}
    for cookies in ({}, {"Cookie": login_node.cookies("ben")}):
        answers = [
            ask(login_node, {**headers, **cookies}, event, {"job": job})
            for event in ("watch", "cancel")
            for job in (anna_job, "never-heard-of")
        ]
        assert answers[0]["error"] == "forbidden"
        assert all(answer == answers[0] for answer in answers)


def test_cookies_do_not_decide_for_a_page_of_another_site(
    login_node: LoginNode, worker: Worker, anna_job: str
) -> None:
    cookies = {"Cookie": login_node.cookies("anna")}
    headers = {**cookies, "Origin": OTHER_SITE}  # an origin that may connect

    for event in ("watch", "cancel"):
        answer = ask(login_node, headers, event, {"job": anna_job})
        assert answer["error"] == "forbidden"
    token = worker.tokens.issue(jobs=anna_job)
    answer = ask(login_node, headers, "watch", {"job": anna_job, "token": token})
    assert answer["ok"] is True
    assert answer["actions"] == ["watch"]


def test_a_token_or_the_session_is_enough(
    login_node: LoginNode, worker: Worker, anna_job: str
) -> None:
    token = worker.tokens.issue(jobs=anna_job)
    ben = {"Cookie": login_node.cookies("ben"), "Origin": login_node.url}
    anna = {"Cookie": login_node.cookies("anna"), "Origin": login_node.url}

    assert ask(login_node, ben, "watch", {"job": anna_job, "token": token})["ok"] is True
    assert ask(login_node, ben, "cancel", {"job": anna_job, "token": token})["ok"] is False
    assert ask(login_node, anna, "watch", {"job": anna_job, "token": "forged"})["ok"] is True


def test_a_users_room_is_that_users_own(
    login_node: LoginNode, worker: Worker, anna_job: str
) -> None:
    guest = Guest(login_node.url, {"Cookie": login_node.cookies("anna"), "Origin": login_node.url})

    answer = guest.ask("watch", {"user": "anna"})

    assert answer["jobs"][anna_job]["actions"] == ["watch", "cancel"]
    assert guest.ask("watch", {"user": "ben"})["error"] == "forbidden"
    assert guest.ask("watch", {"root": anna_job})["ok"] is True
    assert guest.ask("watch", {"root": "never-heard-of"})["error"] == "forbidden"
    worker.state("of-ben", "STARTED", user="ben", current=77)
    assert holds_for(lambda: 77 not in guest.currents())
    guest.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "{own}"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "{own}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 403),  # a form of an old browser
        ({"Origin": OTHER_SITE}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "{own}.example.org"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "{own}", "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_a_cancel_by_cookies_needs_a_proof_that_the_page_is_ours(
    login_node: LoginNode, worker: Worker, anna_job: str, headers: dict[str, str], status: int
) -> None:
    given = {name: value.format(own=login_node.url) for name, value in headers.items()}
    path = f"{login_node.url}/bridge/jobs/{anna_job}/cancel"

    answer = requests.post(
        path, headers={**given, "Cookie": login_node.cookies("anna")}, timeout=10
    )

    assert answer.status_code == status
    assert worker.state(anna_job, user="anna").cancel is (status == 200)
    token = worker.tokens.issue(jobs=anna_job, actions=["cancel"])
    by_token = requests.post(path, headers=given, params={"token": token}, timeout=30)
    assert by_token.status_code == 200, "a token is no cookie: another site doesn't have it"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),  # typed into the address bar
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": OTHER_SITE}, 403),
    ],
)
def test_the_snapshot_by_cookies(
    login_node: LoginNode, anna_job: str, headers: dict[str, str], status: int
) -> None:
    headers = {**headers, "Cookie": login_node.cookies("anna")}

    answer = requests.get(f"{login_node.url}/bridge/jobs/{anna_job}", headers=headers, timeout=30)

    assert answer.status_code == status
    if status == 200:
        assert answer.json()["actions"] == ["watch", "cancel"]


def test_who_logged_out_or_forged_a_cookie_may_not(login_node: LoginNode, anna_job: str) -> None:
    cookies = login_node.cookies("anna")
    for bad in (cookies[:-3], cookies + "x", "session=e30.forged", "session="):
        headers = {"Cookie": bad, "Origin": login_node.url}
        assert ask(login_node, headers, "watch", {"job": anna_job})["error"] == "forbidden"


class Visitor:
    is_authenticated = True

    def __init__(self, ident: object) -> None:
        self.ident = ident

    def get_id(self) -> object:
        return self.ident


def test_owner_only() -> None:
    assert owner_only(Visitor(7), {"user": "7"}, "cancel") is True
    assert owner_only(Visitor(7), {"user": "8"}, "watch") is False
    assert owner_only(Visitor(7), {"user": None}, "watch") is False
    assert owner_only(Visitor(None), {"user": None}, "watch") is False
    assert owner_only(Visitor("None"), {"user": None}, "watch") is False
    assert owner_only(Visitor(7), None, "watch") is False
    assert owner_only(None, {"user": None}, "watch") is False
    anonymous = Visitor(7)
    anonymous.is_authenticated = False
    assert owner_only(anonymous, {"user": "7"}, "watch") is False


@pytest.mark.parametrize(
    "authorize", [lambda *_: 1 / 0, lambda *_: "yes", lambda *_: None, lambda *_: 1]
)
def test_an_authorize_that_fails_or_answers_something_else_is_a_no(
    authorize: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caller = caller_of({"REQUEST_METHOD": "GET"}, 0)
    environ = {"wsgi.url_scheme": "http", "HTTP_HOST": "a", "REQUEST_METHOD": "GET"}
    visit = Sessions(Flask(__name__), authorize).visit(caller_of(environ, 0))
    assert caller.own_site
    assert visit is not None

    assert visit.allows("watch", {"user": "anna"}) is False
    assert "authorize failed" in caplog.text
    visit.close()


def test_authorize_gets_none_for_a_user_where_there_is_no_flask_login() -> None:
    seen: list[Any] = []

    def authorize(*arguments: Any) -> bool:
        seen.append(arguments)
        return True

    environ = {"wsgi.url_scheme": "http", "HTTP_HOST": "a", "REQUEST_METHOD": "GET"}
    visit = Sessions(Flask(__name__), authorize).visit(caller_of(environ, 0))
    assert visit is not None

    assert visit.allows("cancel", {"job": "a"}) is True
    assert seen == [(None, {"job": "a"}, "cancel")]
    assert visit.user is None
    visit.close()


def test_without_authorize_sessions_decide_nothing() -> None:
    assert Sessions(Flask(__name__), None).visit(caller_of({"REQUEST_METHOD": "GET"}, 0)) is None
