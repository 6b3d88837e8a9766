"""Tokens and names as an attacker bends them, over a real WebSocket."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import socketio

from bridge.settings import Settings
from bridge.tokens import Tokens
from tests.conftest import wait_until
from tests.nodes import NAMESPACE, SECRET, Client, Node, Worker, holds_for, running
from tests.relay.guest import Guest

MakeClient = Callable[..., Client]


def test_bent_tokens_all_get_the_same_no(worker: Worker, clients: MakeClient, job: str) -> None:
    worker.state(job, "STARTED", root="r", user="anna")
    good = worker.tokens.issue(jobs=job)
    head, stamp, signature = good.split(".")
    foreign = worker.tokens.issue(jobs="foreign", actions=["watch", "cancel"]).split(".")
    bent = {
        "truncated": good[:-5],
        "without a signature": f"{head}.{stamp}.",
        "another's payload": f"{foreign[0]}.{stamp}.{signature}",
        "another's signature": f"{head}.{stamp}.{foreign[2]}",
        "re-keyed": Tokens(["x" * 32], seconds=60).issue(jobs=job),
        "of the key in plain sight": SECRET,
        "for another job": worker.tokens.issue(jobs=f"{job}x"),
        "for a root of that name": worker.tokens.issue(root=job, actions=["cancel"]),
        "for a user of that name": worker.tokens.issue(user=job),
        "NUL": good + "\0",
        "blank": " " + good,
    }
    client = clients()
    refused = client.ask("watch", {"job": job})

    for name, token in bent.items():
        for event in ("watch", "cancel"):
            assert client.ask(event, {"job": job, "token": token}) == refused, name
    worker.state(job, root="r", user="anna", current=1)
    assert holds_for(lambda: not client.received)
    assert client.ask("watch", {"job": job, "token": good})["ok"] is True


def test_a_replayed_token_serves_another_client_too_until_it_ends(
    worker: Worker, clients: MakeClient, job: str
) -> None:
    token = worker.tokens.issue(jobs=job, expires=1)
    assert clients().ask("watch", {"job": job, "token": token})["ok"] is True
    assert clients().ask("watch", {"job": job, "token": token})["ok"] is True
    time.sleep(1)  # the token's own time

    assert clients().ask("watch", {"job": job, "token": token})["error"] == "expired"


@pytest.mark.parametrize(
    "name",
    [
        "{sid}", "job:{job}", "job:{{{job}}}", "{job}\0", "\0{job}", "{job}\n", " {job}", "{job} ",
        "*", "?", "[a-z]", "{job}*", "../{job}", "%2e", "/bridge", "job", "root:{job}",
        "\u202e{job}", "\uff4aob", "a" * 201, "a" * 100_000,
    ],
)  # fmt: skip
def test_tricks_with_the_names_of_rooms(
    worker: Worker, clients: MakeClient, job: str, name: str
) -> None:
    victim, attacker = clients(), clients()
    victim.ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})
    trick = name.replace("{job}", job).replace("{sid}", victim.sid)
    token = worker.tokens.issue(jobs="mine", actions=["watch", "cancel"])

    for event, subject in (
        ("watch", "job"), ("watch", "root"), ("watch", "user"), ("cancel", "job"),
    ):  # fmt: skip
        answer = attacker.ask(event, {subject: trick, "token": token})
        assert answer["ok"] is False
        assert answer["error"] in ("bad_request", "forbidden")
        assert len(answer["message"]) < 300
    assert (
        attacker.ask("watch", {"jobs": ["mine", trick], "token": token})
        .get("jobs", {})
        .get(trick, {"ok": False})["ok"]
        is False
    )

    worker.state(job, "STARTED", current=1)
    victim.wait(1)
    assert holds_for(lambda: not attacker.received, 0.1)


def test_no_client_enters_a_room_by_python_socketios_own_words(
    worker: Worker, clients: MakeClient, job: str
) -> None:
    attacker = clients()
    for event in ("join", "enter_room", "join_room", "room", "subscribe", "emit", "close_room"):
        answer = attacker.ask(event, {"room": f"job:{job}", "sid": attacker.sid})
        assert answer["error"] == "bad_request"
    for text in (f"0/job:{job},", f"0/bridge/job:{job},", "0/,", "0/admin,", "1/other,"):
        attacker.sio.eio.send(text)

    worker.state(job, "STARTED", current=1)
    assert holds_for(lambda: not attacker.received, 0.3)


def test_every_cancel_is_logged_with_who_and_from_where(
    worker: Worker, clients: MakeClient, node: Node, job: str
) -> None:
    worker.state(job, "STARTED", root=f"root-{job}", user="anna")
    tokens = {
        "a token for the job": worker.tokens.issue(jobs=job, actions=["cancel"]),
        f"root 'root-{job}'": worker.tokens.issue(root=f"root-{job}", actions=["cancel"]),
        "user 'anna'": worker.tokens.issue(user="anna", actions=["cancel"]),
    }
    client = clients()
    for token in tokens.values():
        assert client.ask("cancel", {"job": job, "token": token}) == {"ok": True}
    worker.state(job, "REVOKED", root=f"root-{job}", user="anna")
    client.ask("cancel", {"job": job, "token": tokens["user 'anna'"]})

    def logged() -> list[str]:
        return [line for line in list(node.log) if f"job {job}: cancel asked" in line]

    wait_until(lambda: len(logged()) == len(tokens) + 1, what="the log")
    lines = logged()
    for who, line in zip([*tokens, "user 'anna'"], lines, strict=True):
        assert f"by {who} from 127.0.0.1" in line
        assert " INFO " in line
    assert [line.rpartition(": ")[2] for line in lines] == ["ok", "ok", "ok", "finished"]
    assert not any(token in line for token in tokens.values() for line in node.log)


def test_actions_say_who_may_cancel(worker: Worker, clients: MakeClient, job: str) -> None:
    child, root, user = f"{job}-child", f"root-{job}", f"user-{job}"
    worker.state(job, "STARTED", user=user)
    worker.state(child, "STARTED", root=root, user=user)
    both = ["watch", "cancel"]
    client, issue = clients(), worker.tokens.issue

    def actions(data: dict[str, object]) -> object:
        answer = client.ask("watch", data)
        return answer["actions"] if "actions" in answer else answer["jobs"][child]["actions"]

    assert actions({"job": job, "token": issue(jobs=job)}) == ["watch"]
    assert actions({"job": job, "token": issue(jobs=job, actions=both)}) == both
    assert actions({"job": child, "token": issue(root=root, actions=both)}) == both
    assert actions({"job": job, "token": issue(user=user, actions=both)}) == both
    assert actions({"root": root, "token": issue(root=root)}) == ["watch"]
    assert actions({"root": root, "token": issue(root=root, actions=both)}) == both
    assert actions({"user": user, "token": issue(user=user, actions=both)}) == both
    several = client.ask(
        "watch", {"jobs": [job, child], "token": issue(jobs=[job, child], actions=both)}
    )
    assert [each["actions"] for each in several["jobs"].values()] == [both, both]


@pytest.mark.parametrize(("origins", "warnings"), [("*", 1), ("https://a.example.org", 0)])
def test_every_origin_is_let_in_with_a_warning_only(
    settings: Settings, origins: str, warnings: int
) -> None:
    with running(settings, BRIDGE_CORS_ORIGINS=origins) as node:
        for _ in range(2):
            Guest(node.url, {"Origin": "https://a.example.org"}).close()
        wait_until(lambda: sum("BRIDGE_CORS_ORIGINS is *" in line for line in node.log) == warnings)


def test_another_origin_is_not_let_in(node: Node) -> None:
    for transport in ("websocket", "polling"):
        with pytest.raises(socketio.exceptions.ConnectionError):
            Guest(node.url, {"Origin": "https://a.example.org"}, transport)


def test_the_address_limit_on_a_server_of_the_hosts_guards_only_our_namespace(
    settings: Settings,
) -> None:
    program = [*Node.PROGRAM[:1], str(Path(__file__).parent / "host_app.py")]
    node = Node(settings, program=program, BRIDGE_MAX_CLIENTS_ADDRESS="1")
    try:
        hosts = [Client(node.url, "/") for _ in range(3)]
        ours = Guest(node.url)
        with pytest.raises(
            socketio.exceptions.ConnectionError, match="namespaces failed to connect"
        ):
            Guest(node.url)
        assert all(client.ask("hello", 1) == {"heard": 1} for client in hosts)
        assert ours.ask("unwatch", {"job": "a"}) == {"ok": True}
        ours.close()
        for client in hosts:
            client.close()
    finally:
        node.stop()


def test_the_pace_on_a_server_of_the_hosts_counts_only_our_namespace(settings: Settings) -> None:
    program = [*Node.PROGRAM[:1], str(Path(__file__).parent / "host_app.py")]
    limits = {"BRIDGE_MESSAGES_RATE": "1", "BRIDGE_MAX_WATCHES": "1"}
    node = Node(settings, program=program, **limits)
    try:
        client = Client(node.url, "/")
        assert all(client.ask("hello", n) == {"heard": n} for n in range(50))
        ours = Client(node.url, NAMESPACE)
        answers = [ours.ask("unwatch", {"job": "a"})["ok"] for _ in range(12)]
        assert answers[0] is True
        assert answers[-1] is False
        client.close()
        ours.close()
    finally:
        node.stop()
