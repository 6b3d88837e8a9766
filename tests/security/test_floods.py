"""Clients that want all of a node for themselves, by haste or by sloth, while others are served.

All loads are bounded: 127.0.0.1, at most 60 sockets, some seconds.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import statistics
import threading
import time
from collections.abc import Iterator

import pytest
import requests
import websocket

from tests.conftest import RedisServer, wait_until
from tests.nodes import Client
from tests.security.attacked import Attacked, attacked, raw_websocket

SOCKETS = 50
FLOOD_SECONDS = 0.5
#: Far above what an answer takes, on a busy machine too; undefended, these floods make it seconds.
CALM_SECONDS = 0.5


@pytest.fixture(scope="module")
def victim(shared_redis: RedisServer) -> Iterator[Attacked]:
    with attacked(shared_redis) as made:
        yield made
        assert made.errors() == []


@pytest.fixture(scope="module")
def impatient(shared_redis: RedisServer) -> Iterator[Attacked]:
    """A node that lets nobody be silent for long, and few from one address."""
    limits = {"BRIDGE_QUIET_SECONDS": "1", "BRIDGE_MAX_CLIENTS_ADDRESS": "60"}
    with attacked(shared_redis, **limits) as made:
        yield made
        assert made.errors() == []


WATCH = '42/bridge,1["watch",{"job":"a","token":"forged"}]'
FLOODS: dict[str, str] = {
    "watches with a forged token": WATCH,
    "cancels": '42/bridge,1["cancel",{"job":"a"}]',
    "messages without an ack": '42/bridge,["unwatch",{"job":"a"}]',
    "large messages": '42/bridge,1["watch",{"job":"' + "a" * 30_000 + '"}]',
    "deep messages": '42/bridge,1["watch",' + "[" * 20_000 + "]" * 20_000 + "]",
    "brackets": '42/bridge,1["watch",' + "[]," * 20_000 + "0]",
    "malformed messages": "42/bridge,1[",
    "pongs": "3",
    "connections to a namespace": "40/bridge,",
}


@pytest.mark.parametrize("name", FLOODS)
def test_others_are_answered_while_one_client_floods(victim: Attacked, name: str) -> None:
    before = victim.counters()
    stop = threading.Event()
    flooding = threading.Thread(target=flood, args=(victim, FLOODS[name], stop))
    flooding.start()
    try:
        end = time.monotonic() + FLOOD_SECONDS
        taken = []
        while time.monotonic() < end:
            taken.append(victim.assert_serves())
            time.sleep(0.02)
    finally:
        stop.set()
        flooding.join(10)
    slow = statistics.median(taken)
    assert slow < CALM_SECONDS, f"half of {len(taken)} answers took more than {slow:.2f} s"
    assert sum(victim.counters().values()) > sum(before.values()), "the flood was noticed"


def flood(victim: Attacked, frame: str, stop: threading.Event) -> None:
    """Send as fast as it goes, and come again when thrown out."""
    for _ in range(200):
        if stop.is_set():
            return
        with (
            contextlib.suppress(OSError, AssertionError, websocket.WebSocketException),
            raw_websocket(victim) as link,
        ):
            raw = link.sock
            reader = threading.Thread(target=swallow, args=(link, stop))
            reader.start()
            try:
                for _ in range(20_000):
                    if stop.is_set():
                        break
                    link.send(frame)
            finally:
                with contextlib.suppress(OSError):
                    raw.shutdown(socket.SHUT_RDWR)  # wakes up the reader
                reader.join(5)


def swallow(link: websocket.WebSocket, stop: threading.Event) -> None:
    with contextlib.suppress(OSError, websocket.WebSocketException):
        while not stop.is_set():
            link.recv()


def test_a_flood_is_told_first_and_then_cut_off(victim: Attacked) -> None:
    answers: list[str] = []
    with raw_websocket(victim) as link, contextlib.suppress(OSError, websocket.WebSocketException):
        for number in range(8000):
            link.send(WATCH.replace(",1[", f",{number}[", 1))
            if number < 450:
                answers.append(str(link.recv()))
    assert any('"forbidden"' in answer for answer in answers)
    assert any('"too_many"' in answer for answer in answers)
    counters = victim.counters()
    assert counters["limit.messages"] > 0
    wait_until(lambda: victim.counters().get("limit.flood", 0) > 0, what="the cut")


def test_polls_and_pages_by_the_hundred(victim: Attacked) -> None:
    stop = threading.Event()
    paths = (
        "/bridge/jobs/a?token=forged",
        "/socket.io/?EIO=4&transport=polling",
        "/nothing",
        "/readyz",
    )

    def hurry() -> None:
        with requests.Session() as session:
            for number in range(2000):
                if stop.is_set():
                    return
                with contextlib.suppress(requests.RequestException):
                    session.get(victim.url + paths[number % len(paths)], timeout=5)

    threads = [threading.Thread(target=hurry) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        taken = [victim.assert_serves() for _ in range(30)]
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert statistics.median(taken) < CALM_SECONDS


def silent(link: socket.socket) -> None:
    """Says nothing at all."""


def half_a_request(link: socket.socket) -> None:
    link.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\nX-Slow: ")


def half_a_body(link: socket.socket) -> None:
    link.sendall(
        b"POST /bridge/jobs/a/cancel HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n{"
    )


def half_a_poll(link: socket.socket) -> None:
    link.sendall(
        b"POST /socket.io/?EIO=4&transport=polling&sid=none HTTP/1.1\r\nHost: a\r\n"
        b"Content-Length: 90000\r\n\r\n4"
    )


def half_a_handshake(link: socket.socket) -> None:
    link.sendall(b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nUpgrade: webso")


SLOTHS = [silent, half_a_request, half_a_body, half_a_poll, half_a_handshake]


def test_slow_sockets_hold_up_nobody_and_are_closed(impatient: Attacked) -> None:
    links = [socket.create_connection(impatient.address, timeout=30) for _ in range(SOCKETS)]
    try:
        for link, sloth in zip(links, itertools.cycle(SLOTHS)):
            sloth(link)
        taken = [impatient.assert_serves() for _ in range(20)]
        assert statistics.median(taken) < CALM_SECONDS
        wait_until(lambda: all(map(is_closed, links)), seconds=8, what="the end of the slow ones")
    finally:
        for link in links:
            link.close()
    impatient.assert_serves()


def is_closed(link: socket.socket) -> bool:
    """Whether the node has hung up, or answered and hung up."""
    link.setblocking(False)
    try:
        while link.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def test_a_drip_of_header_lines_ends(impatient: Attacked) -> None:
    """Slowloris: each line comes in time, the request never ends."""
    links = [socket.create_connection(impatient.address, timeout=30) for _ in range(SOCKETS)]
    open_links = list(links)
    try:
        for link in links:
            link.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\n")
        end = time.monotonic() + 8
        while open_links and time.monotonic() < end:
            impatient.assert_serves()
            for link in list(open_links):
                try:
                    link.setblocking(True)
                    link.sendall(b"X: y\r\n")
                except OSError:
                    open_links.remove(link)
                    continue
                if is_closed(link):
                    open_links.remove(link)
            time.sleep(0.3)
        assert not open_links, f"{len(open_links)} drip on"
    finally:
        for link in links:
            link.close()


def test_connections_that_never_watch_are_sent_away(impatient: Attacked) -> None:
    idle = [Client(impatient.url, reconnection=False) for _ in range(10)]
    impatient.assert_serves()
    wait_until(lambda: not any(c.sio.connected for c in idle), seconds=8, what="their end")
    assert impatient.counters()["limit.quiet"] >= len(idle)
    for client in idle:
        client.close()


def test_one_address_gets_only_so_many_connections(impatient: Attacked) -> None:
    with contextlib.ExitStack() as stack:
        refused = 0
        for _ in range(65):
            try:
                stack.enter_context(raw_websocket(impatient))
            except (AssertionError, websocket.WebSocketException, OSError):
                refused += 1
        assert 5 <= refused < 65
        impatient.assert_serves()
    wait_until(lambda: can_connect(impatient), what="room for others again")
    assert impatient.counters()["limit.address"] >= refused


def can_connect(victim: Attacked) -> bool:
    try:
        with raw_websocket(victim):
            return True
    except (AssertionError, websocket.WebSocketException, OSError):
        return False


def test_a_watcher_that_reads_nothing_harms_nobody(victim: Attacked) -> None:
    token = victim.worker.tokens.issue(jobs="loud")
    with raw_websocket(victim) as link:
        link.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.send(f'42/bridge,1["watch",{{"job":"loud","token":"{token}"}}]')
        link.recv()
        for _ in range(40):
            victim.worker.journal.publish(
                [victim.worker.event_publication("loud", data="x" * 30_000) for _ in range(5)]
            )
            victim.assert_serves()
