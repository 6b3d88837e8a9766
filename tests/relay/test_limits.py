"""Limits, from the attacker's side: each on a real node, with its error and its counter."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import socketio
from websocket import WebSocket, create_connection

from bridge.settings import Settings
from tests.conftest import wait_until
from tests.nodes import Client, Node, Worker, holds_for, running
from tests.relay.guest import Guest, LoginNode


@contextmanager
def login_node(settings: Settings, **environ: str) -> Iterator[LoginNode]:
    node = LoginNode(settings, **environ)
    try:
        yield node
    finally:
        node.stop()


@contextmanager
def raw(node: Node, **options: Any) -> Iterator[WebSocket]:
    """A WebSocket that has greeted Engine.IO and nothing more."""
    url = node.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    websocket = create_connection(url, timeout=10, **options)
    try:
        assert websocket.recv().startswith("0{")
        yield websocket
    finally:
        websocket.shutdown()


def answers_of(websocket: WebSocket, count: int) -> list[Any]:
    """The next so many acks, by their number: they come in any order."""
    found: dict[int, Any] = {}
    while len(found) < count:
        text = websocket.recv()
        if text.startswith("43/bridge,"):
            number, _, rest = text.removeprefix("43/bridge,").partition("[")
            found[int(number)] = json.loads("[" + rest)[0]
    return [found[number] for number in sorted(found)]


def send_until_it_ends(websocket: WebSocket, text: str, meanwhile: Callable[[], Any]) -> None:
    """Send the same again and again, reading what comes, until the node closes the connection."""
    for _ in range(1000):
        try:
            for _ in range(100):
                websocket.send(text)
            websocket.sock.setblocking(False)
            with suppress(BlockingIOError):
                while websocket.sock.recv(65536):
                    pass
                return
            websocket.sock.setblocking(True)
        except OSError:
            return
        meanwhile()
    pytest.fail("the node takes it all")


def closes(websocket: WebSocket, seconds: float = 15) -> bool:
    """Whether the node ends the connection."""
    websocket.settimeout(seconds)
    try:
        while True:
            opcode, _ = websocket.recv_data()
            if opcode == 8:
                return True
    except TimeoutError:
        return False
    except Exception as error:  # noqa: BLE001 - whatever tells the end
        return "timed out" not in str(error)


def test_clients_of_an_address(settings: Settings) -> None:
    with login_node(settings, BRIDGE_MAX_CLIENTS_ADDRESS="2", BRIDGE_TRUSTED_PROXIES="1") as node:
        mine = {"X-Forwarded-For": "6.6.6.6, 192.0.2.1"}  # the first is what I claim to be
        first, second = Guest(node.url, mine), Guest(node.url, mine)

        for transport in ("websocket", "polling"):
            with pytest.raises(socketio.exceptions.ConnectionError):
                Guest(node.url, {"X-Forwarded-For": "7.7.7.7, 192.0.2.1"}, transport)
        polled = requests.get(
            f"{node.url}/socket.io/?EIO=4&transport=polling", headers=mine, timeout=10
        )
        assert polled.status_code == 429
        assert polled.json()["error"] == "too_many"
        other = Guest(node.url, {"X-Forwarded-For": "6.6.6.6, 192.0.2.2"})
        assert other.is_connected
        assert node.counts()["limit.address"] >= 3
        first.close()
        wait_until(lambda: _may_connect(node, mine), what="room for another")
        second.close()
        other.close()


def _may_connect(node: Node, headers: dict[str, str]) -> bool:
    try:
        Guest(node.url, headers).close()
    except socketio.exceptions.ConnectionError:
        return False
    return True


def test_an_ipv6_client_counts_by_its_network(settings: Settings) -> None:
    with login_node(settings, BRIDGE_MAX_CLIENTS_ADDRESS="1", BRIDGE_TRUSTED_PROXIES="1") as node:
        first = Guest(node.url, {"X-Forwarded-For": "2001:db8::1"})
        with pytest.raises(socketio.exceptions.ConnectionError):
            Guest(node.url, {"X-Forwarded-For": "2001:db8::2"})
        assert _may_connect(node, {"X-Forwarded-For": "2001:db8:0:1::1"})
        first.close()


def test_forwarded_addresses_are_not_believed_without_a_trusted_proxy(settings: Settings) -> None:
    with login_node(settings, BRIDGE_MAX_CLIENTS_ADDRESS="1") as node:
        first = Guest(node.url, {"X-Forwarded-For": "192.0.2.1"})
        with pytest.raises(socketio.exceptions.ConnectionError):
            Guest(node.url, {"X-Forwarded-For": "192.0.2.2"})
        wait_until(lambda: sum("BRIDGE_TRUSTED_PROXIES" in line for line in node.log) == 1)
        first.close()


def test_clients_of_a_user(settings: Settings) -> None:
    with login_node(settings, BRIDGE_MAX_CLIENTS_USER="2") as node:
        worker = Worker(settings)
        worker.state("of-anna", "STARTED", user="anna")
        token = worker.tokens.issue(user="anna")
        guests = [Guest(node.url) for _ in range(3)]
        by_session = Guest(node.url, {"Cookie": node.cookies("anna"), "Origin": node.url})

        for guest in guests[:2]:
            assert guest.ask("watch", {"user": "anna", "token": token})["ok"] is True
            assert guest.ask("watch", {"job": "of-anna", "token": token})["ok"] is True
        assert guests[2].ask("watch", {"user": "anna", "token": token})["error"] == "too_many"
        assert by_session.ask("watch", {"job": "of-anna"})["error"] == "too_many"
        ben = worker.tokens.issue(user="ben")
        assert guests[2].ask("watch", {"user": "ben", "token": ben})["ok"] is True
        assert node.counts()["limit.user"] == 2
        guests[0].close()
        wait_until(lambda: by_session.ask("watch", {"job": "of-anna"})["ok"])
        for guest in (*guests[1:], by_session):
            guest.close()


def test_a_client_that_sends_too_fast_is_told_so_and_lives_on(settings: Settings) -> None:
    limits = {"BRIDGE_MESSAGES_RATE": "5", "BRIDGE_MAX_WATCHES": "1"}
    with login_node(settings, **limits) as node, raw(node) as websocket:
        websocket.send("40/bridge,")
        for number in range(60):
            websocket.send(f'42/bridge,{number}["unwatch",{{"job":"a"}}]')
        answers = answers_of(websocket, 60)

        assert answers[0] == {"ok": True}
        refused = [answer for answer in answers if not answer["ok"]]
        assert {answer["error"] for answer in refused} == {"too_many"}
        assert 30 <= len(refused) <= 40
        assert node.counts()["limit.messages"] == len(refused)

        def is_served() -> bool:
            websocket.send('42/bridge,99["unwatch",{"job":"a"}]')
            (answer,) = answers_of(websocket, 1)
            time.sleep(0.2)  # the pace that is allowed
            return bool(answer["ok"])

        wait_until(is_served, what="the window to have room again")


def test_who_sends_nonsense_too_fast_is_told_that_it_is_nonsense(settings: Settings) -> None:
    limits = {"BRIDGE_MESSAGES_RATE": "10", "BRIDGE_MAX_WATCHES": "1"}
    nonsense = ('["unwatch",{"job":"no good"}]', '["nothing",{}]', "[]", "[7", '["watch"]')
    with login_node(settings, **limits) as node, raw(node) as websocket:
        websocket.send("40/bridge,")
        for number in range(90):
            websocket.send(f"42/bridge,{number}{nonsense[number % len(nonsense)]}")

        answers = answers_of(websocket, 90)

        assert {answer["error"] for answer in answers} == {"bad_request"}
        assert node.counts()["limit.messages"] > 20


def test_the_default_lets_a_page_ask_for_all_that_it_may_watch_at_once(node: Node) -> None:
    worker = Worker(node.settings)
    jobs = [f"burst-{number}" for number in range(200)]
    token = worker.tokens.issue(jobs=jobs)
    client = Client(node.url)
    answers: list[Any] = []

    for job in jobs:
        client.sio.emit(
            "watch", {"job": job, "token": token}, namespace="/bridge", callback=answers.append
        )

    wait_until(lambda: len(answers) == 200)
    assert all(answer["ok"] for answer in answers)
    client.close()


def test_a_flood_is_cut_off_while_another_client_keeps_its_latency(settings: Settings) -> None:
    with login_node(settings) as node:
        worker = Worker(settings)
        worker.state("job", "STARTED", current=0)
        client = Client(node.url)
        client.ask("watch", {"job": "job", "token": worker.tokens.issue(jobs="job")})
        client.ask("unwatch", {"job": "other"})
        calm = [_latency(worker, client, number) for number in range(1, 11)]
        with raw(node) as websocket:
            websocket.send("40/bridge,")
            under_flood: list[float] = []
            send_until_it_ends(
                websocket,
                '42/bridge,1["watch",{"job":"a","token":"forged"}]',
                lambda: under_flood.append(_latency(worker, client, 100 + len(under_flood))),
            )

        assert len(under_flood) >= 3
        assert median(under_flood) < max(0.25, 20 * median(calm))
        counts = node.counts()
        assert counts["limit.flood"] >= 1
        assert counts["limit.messages"] > 100
        wait_until(lambda: sum("floods" in line for line in node.log) == counts["limit.flood"])
        client.close()


def _latency(worker: Worker, client: Client, current: int) -> float:
    began = time.perf_counter()
    worker.state("job", current=current)
    client.wait(current)
    return time.perf_counter() - began


def test_a_flood_of_frames_that_are_no_messages_is_cut_off(settings: Settings) -> None:
    limits = {"BRIDGE_MESSAGES_RATE": "1", "BRIDGE_MAX_WATCHES": "1"}
    with login_node(settings, **limits) as node, raw(node) as websocket:
        send_until_it_ends(websocket, "3", lambda: None)
        assert node.counts()["limit.flood"] == 1


def test_size_and_depth_are_refused_unread(settings: Settings) -> None:
    with login_node(settings, BRIDGE_MAX_MESSAGE="2000", BRIDGE_MAX_DEPTH="8") as node:
        deep = "[" * 9 + "]" * 9
        with raw(node) as websocket:
            websocket.send("40/bridge,")
            websocket.send(f'42/bridge,1["watch",{{"job":{deep}}}]')
            websocket.send('42/bridge,2["watch",{"job":"' + "[" * 500 + '"}]')
            websocket.send('42/bridge,3["watch",' + "[" * 900)
            websocket.send('42/bridge,4["watch",{"job"')
            websocket.send('452-/bridge,5["watch",{"_placeholder":true,"num":0}]')
            websocket.send('42/bridge,6["unwatch",{"job":"a"}]')
            answers = answers_of(websocket, 6)

            assert [answer.get("error") for answer in answers] == ["bad_request"] * 5 + [None]
            assert "nested" in answers[0]["message"]
            assert "job id" in answers[1]["message"], "brackets in a text nest nothing"
            assert "nested" in answers[2]["message"]
            assert "malformed" in answers[3]["message"]
            assert "binary" in answers[4]["message"]
            counts = node.counts()
            assert counts["limit.depth"] == 2
            assert counts["malformed.binary"] == 1
            websocket.send('42/bridge,7["watch",{"job":"' + "a" * 3000 + '"}]')
            assert closes(websocket), "Engine.IO closes what is over its buffer"
        assert not any("Traceback" in line for line in node.log)


@pytest.mark.parametrize(
    "frame", ["", "x", "9", "4" + "[" * 100_000, "5", "6", "42", "4", '4"', "4{}", "4[1]", "0", "²"]
)
def test_a_raw_frame_of_any_kind_costs_at_most_its_own_connection(node: Node, frame: str) -> None:
    before = len([line for line in node.log if "Traceback" in line])
    with raw(node) as websocket:
        websocket.send("40/bridge,")
        websocket.send(frame)
        if not closes(websocket, 0.3):
            websocket.settimeout(10)
            websocket.send('42/bridge,6["unwatch",{"job":"a"}]')
            assert answers_of(websocket, 1) == [{"ok": True}]
    client = Client(node.url)
    assert client.ask("unwatch", {"job": "a"}) == {"ok": True}
    client.close()
    assert len([line for line in node.log if "Traceback" in line]) == before


def test_who_watches_nothing_is_sent_away_and_who_watches_stays(settings: Settings) -> None:
    with login_node(settings, BRIDGE_QUIET_SECONDS="1") as node:
        worker = Worker(settings)
        watching, refused, idle = Guest(node.url), Guest(node.url), Guest(node.url)
        unwatched = Guest(node.url)
        token = worker.tokens.issue(jobs="job")
        for guest in (watching, unwatched):
            guest.ask("watch", {"job": "job", "token": token})
        unwatched.ask("unwatch", {"job": "job"})
        refused.ask("watch", {"job": "job", "token": "forged"})

        with raw(node) as silent:
            assert closes(silent)
        wait_until(lambda: not (idle.is_connected or refused.is_connected))

        assert holds_for(lambda: watching.is_connected and unwatched.is_connected, 1.0)
        assert node.counts()["limit.quiet"] == 3
        worker.state("job", "STARTED", current=1)
        watching.wait(1)
        for guest in (watching, refused, idle, unwatched):
            guest.close()


@pytest.mark.parametrize("mode", ["gevent", "threading"])
def test_the_other_modes_cut_off_the_same(settings: Settings, mode: str) -> None:
    limits = {"BRIDGE_MESSAGES_RATE": "2", "BRIDGE_MAX_WATCHES": "2", "BRIDGE_QUIET_SECONDS": "2"}
    with login_node(settings, BRIDGE_ASYNC_MODE=mode, **limits) as node:
        with raw(node) as quiet:
            with raw(node) as malformed:
                malformed.send("x")
                assert closes(malformed)
            for text in ("3", '42/bridge,1["watch",{"job":"a"}]'):
                with raw(node) as flooding:
                    flooding.send("40/bridge,")
                    send_until_it_ends(flooding, text, lambda: None)
            assert closes(quiet)
        counts = node.counts()
        assert counts["malformed.frame"] == 1
        assert counts["limit.flood"] >= 2
        assert counts["limit.quiet"] == 1
        assert not any("Traceback" in line for line in node.log), "\n".join(node.log)


@pytest.mark.parametrize("mode", ["eventlet", "gevent", "threading"])
@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: "])
def test_a_request_that_never_ends_is_cut_off(settings: Settings, mode: str, sent: bytes) -> None:
    with running(settings, BRIDGE_QUIET_SECONDS="1", BRIDGE_ASYNC_MODE=mode) as node:
        parts = urlsplit(node.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as slow:
            slow.sendall(sent)
            end = time.monotonic() + 15
            while slow.recv(4096):
                assert time.monotonic() < end
        assert requests.get(f"{node.url}/healthz", timeout=30).status_code == 200


@pytest.mark.parametrize("mode", ["eventlet", "gevent"])
def test_a_head_that_trickles_in_is_cut_off(settings: Settings, mode: str) -> None:
    with running(settings, BRIDGE_QUIET_SECONDS="1", BRIDGE_ASYNC_MODE=mode) as node:
        parts = urlsplit(node.url)
        began = time.monotonic()
        with socket.create_connection((parts.hostname, parts.port), timeout=0.2) as slow:
            slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n")

            def is_cut() -> bool:
                try:
                    slow.sendall(b"X: y\r\n")
                    return not slow.recv(4096)
                except TimeoutError:
                    return False
                except OSError:
                    return True

            wait_until(is_cut, seconds=10, what="the node to lose its patience")
        assert time.monotonic() - began < 8
