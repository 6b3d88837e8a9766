"""Sockets that say nothing, or parts of something, or never listen; in each async mode.

All loads are bounded: 127.0.0.1, a handful of sockets, some megabytes.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator

import pytest
import websocket

from tests.conftest import RedisServer, wait_until
from tests.security.attacked import Attacked, attacked, open_polling, raw_websocket

PING, CONTINUATION, TEXT = 0x89, 0x00, 0x01
PARTS = {
    "pings": bytes([PING, 0x80]) + b"\0" * 4,
    "empty parts": bytes([CONTINUATION, 0x80]) + b"\0" * 4,
    "parts without end": (
        bytes([CONTINUATION, 0xFE]) + (60_000).to_bytes(2) + b"\0" * 4 + b"x" * 60_000
    ),
}
BEGINNING = bytes([TEXT, 0x81]) + b"\0" * 4 + b"4"
MOST_BYTES = 64 * 1024 * 1024


@pytest.fixture(scope="module", params=["eventlet", "gevent", "threading"])
def victim(request: pytest.FixtureRequest, shared_redis: RedisServer) -> Iterator[Attacked]:
    limits = {"BRIDGE_ASYNC_MODE": request.param, "BRIDGE_QUIET_SECONDS": "1"}
    with attacked(shared_redis, **limits) as made:
        yield made
        assert made.errors() == []


@pytest.mark.parametrize("name", PARTS)
def test_who_sends_no_whole_message_is_cut_off(victim: Attacked, name: str) -> None:
    before = cut_off(victim)
    frames = PARTS[name] * max(1, 6000 // len(PARTS[name]))
    with raw_websocket(victim) as link:
        if name != "pings":
            link.sock.sendall(BEGINNING)
        for _ in range(MOST_BYTES // len(frames)):
            try:
                link.sock.sendall(frames)
            except OSError:
                break
        else:
            pytest.fail("the client is let go on")
    wait_until(lambda: cut_off(victim) > before, what="the count")
    victim.assert_serves()


def cut_off(victim: Attacked) -> int:
    """How many were cut off for too much."""
    return sum(victim.counters().get(name, 0) for name in ("limit.flood", "limit.size"))


def test_who_reads_no_answers_gets_no_more_of_them(victim: Attacked) -> None:
    for _ in range(4):
        victim.worker.event("long", data="x" * 60_000)
    asked = {"job": "long", "token": victim.worker.tokens.issue(jobs="long")}
    with raw_websocket(victim) as link:
        for number in range(100):
            link.send(f'42/bridge,{number}["watch",{json.dumps(asked)}]')
        wait_until(lambda: victim.counters().get("limit.unread", 0) > 0, what="the refusal")
        victim.assert_serves()
        answers = [str(link.recv()) for _ in range(100)]
        assert any('"too_many"' in answer for answer in answers)
        link.send(f'42/bridge,100["watch",{json.dumps(asked)}]')
        assert '"ok":true' in str(link.recv()), "who reads again is answered again"


def test_who_never_watches_loses_the_socket_too(victim: Attacked) -> None:
    with raw_websocket(victim) as link:
        assert_ends(link.sock)


def test_an_upgrade_is_one_and_ends_in_time(victim: Attacked) -> None:
    polling = open_polling(victim)
    sid = polling.partition("&sid=")[2]
    host, port = victim.address
    url = f"ws://{host}:{port}/socket.io/?EIO=4&transport=websocket&sid={sid}"
    with (
        contextlib.closing(websocket.create_connection(url, timeout=30)) as first,
        contextlib.closing(websocket.create_connection(url, timeout=30)) as second,
    ):
        for link in (second, first):
            sock = link.sock
            assert sock is not None
            assert_ends(sock)
            sock.close()
    victim.assert_serves()


def test_a_body_that_never_comes_is_not_waited_for(victim: Attacked) -> None:
    polling = open_polling(victim)
    path = polling[len(victim.url) :]
    with socket.create_connection(victim.address, timeout=30) as link:
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
        link.sendall(head.encode())
        assert_ends(link)
    victim.assert_serves()


def assert_ends(link: socket.socket) -> None:
    """Whatever it is still told, a client that does nothing sees the end of its socket."""
    link.settimeout(15)
    with contextlib.suppress(ConnectionError):
        while link.recv(65_536):
            pass
