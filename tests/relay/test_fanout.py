"""The direct way and Engine.IO's own: in the same scenarios, clients receive the same."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import websocket

from bridge.settings import Settings
from tests.conftest import wait_until
from tests.nodes import Client, Node, Worker, running

STEPS = 60
_EVENT = re.compile(r'42/bridge,(\["(?:[^"\\]|\\.)*",\{.*\}\])', re.DOTALL)


@pytest.fixture(scope="module")
def nodes(shared_settings: Settings, shared_node: Node) -> Iterator[dict[str, Node]]:
    """Nodes that all hear the same."""
    with (
        running(shared_settings, BRIDGE_FANOUT="plain") as plain,
        running(shared_settings, BRIDGE_ASYNC_MODE="gevent") as gevent,
    ):
        yield {"direct": shared_node, "plain": plain, "direct, gevent": gevent}


class Raw:
    """A client without a library for Engine.IO, so that it may do what none does."""

    def __init__(self, node: Node, request: dict[str, Any], *, polls: bool = False) -> None:
        self.address = f"{node.url}/socket.io/?EIO=4"
        self.received: list[tuple[str, Any]] = []
        self.acked = False
        self.ended = False
        self._sid = ""
        self._http = requests.Session()
        self._polling = polls
        if polls:
            self._take(self._poll())
            self._post("40/bridge,")
            self._thread = threading.Thread(target=self._poll_on, daemon=True)
        else:
            self.link = self._open("")
            self._thread = threading.Thread(target=self._receive_on, daemon=True)
        self._enter(request)

    def _enter(self, request: dict[str, Any]) -> None:
        text = watching(request)
        if self._polling:
            self._thread.start()
            self._post(text)
        else:
            self._take(self.link.recv())
            self.link.send("40/bridge,")
            self._take(self.link.recv())
            self.link.send(text)
            self._take(self.link.recv())

    def _open(self, sid: str) -> websocket.WebSocket:
        url = self.address.replace("http", "ws", 1) + "&transport=websocket" + sid
        # A small buffer, so that a client that pauses soon fills its socket.
        options = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
        return websocket.create_connection(url, timeout=20, sockopt=options)

    def read(self) -> None:
        """Go on reading, in a thread."""
        self._thread.start()

    def upgrade(self) -> None:
        """Go over from polling to a WebSocket."""
        self.link = self._open(f"&sid={self._sid}")
        self.link.send("2probe")
        assert self.link.recv() == "3probe"
        self._polling = False
        self._thread.join(20)
        self.link.send("5")
        self._thread = threading.Thread(target=self._receive_on, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._leave()
        self._http.close()

    def _leave(self) -> None:
        if self._polling:
            self._polling = False
            self._post("1")  # ends the poll, too
            self._thread.join(20)
            return
        if self.link.sock is not None:
            self.link.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(20)
        self.link.shutdown()

    def ask_again(self, request: dict[str, Any]) -> None:
        """Do what a client does that sees a hole; then forget all events beyond it."""
        seqs = self.seqs()
        since = next((n for n in range(len(seqs)) if seqs[n] != n + 1), len(seqs))
        beyond = [each for each in self.received if each[0] == "row" and each[1]["seq"] > since]
        for each in beyond:
            self.received.remove(each)
        self.acked = False
        self.link.send(watching({**request, "since": since}))

    def seqs(self) -> list[int]:
        return [data["seq"] for name, data in list(self.received) if name == "row"]

    def currents(self) -> list[int]:
        return [data["current"] for name, data in list(self.received) if name == "progress"]

    def has_all(self) -> bool:
        return self.currents()[-1:] == [STEPS] and self.seqs()[-1:] == [STEPS]

    def _poll_on(self) -> None:
        while self._polling:
            self._take(self._poll())

    def _poll(self) -> str:
        sid = f"&sid={self._sid}" if self._sid else ""
        return self._http.get(f"{self.address}&transport=polling{sid}", timeout=40).text

    def _post(self, text: str) -> None:
        url = f"{self.address}&transport=polling&sid={self._sid}"
        assert requests.post(url, data=text, timeout=30).status_code == 200

    def _receive_on(self) -> None:
        try:
            while text := self.link.recv():
                self._take(str(text))
        except (OSError, websocket.WebSocketException):
            pass
        self.ended = True

    def _take(self, text: str) -> None:
        for packet in text.split("\x1e"):
            event = _EVENT.fullmatch(packet)
            if packet.startswith("0{"):
                self._sid = json.loads(packet[1:])["sid"]
            elif packet.startswith("43/bridge,1"):
                (ack,) = json.loads(packet[len("43/bridge,1") :])
                assert (ack["ok"], ack["gap"]) == (True, False), ack
                self.received += [("row", event) for event in ack["events"]]
                self.acked = True
            elif event is not None:
                name, data = json.loads(event[1])
                self.received.append((name, data))
            else:
                assert packet[:1] in "246" or packet.startswith("40/bridge,"), packet[:80]


def watching(request: dict[str, Any]) -> str:
    return '42/bridge,1["watch",' + json.dumps(request) + "]"


@pytest.fixture
def request_(worker: Worker, job: str) -> dict[str, Any]:
    worker.state(job, "STARTED", current=0)
    return {"job": job, "token": worker.tokens.issue(jobs=job)}


def publish(worker: Worker, job: str, first: int, last: int, length: int = 10) -> None:
    for number in range(first, last + 1):
        worker.event(job, data="e" * length)
        worker.state(job, current=number, message="s" * min(length, 400))


def all_at(nodes: dict[str, Node], request: dict[str, Any], **options: Any) -> dict[str, Raw]:
    clients = {name: Raw(node, request, **options) for name, node in nodes.items()}
    wait_until(lambda: all(client.acked for client in clients.values()))
    return clients


def test_all_ways_tell_the_same(
    nodes: dict[str, Node], worker: Worker, job: str, request_: dict[str, Any]
) -> None:
    sockets, polls = all_at(nodes, request_), all_at(nodes, request_, polls=True)
    for client in sockets.values():
        client.read()

    publish(worker, job, 1, STEPS)

    for each in (*sockets.values(), *polls.values()):
        wait_until(each.has_all)
    for each in (*sockets.values(), *polls.values()):
        assert each.received == sockets["plain"].received
        each.close()


def test_upgrades_in_mid_stream_lose_and_repeat_nothing(
    nodes: dict[str, Node], worker: Worker, job: str, request_: dict[str, Any]
) -> None:
    clients = all_at(nodes, request_, polls=True)
    stream = threading.Thread(target=publish, args=(worker, job, 1, STEPS))
    stream.start()

    for client in clients.values():
        client.upgrade()

    stream.join(20)
    for client in clients.values():
        wait_until(client.has_all)
    for client in clients.values():
        assert client.received == clients["plain"].received
        client.close()


def test_a_client_that_pauses_gets_whole_frames_all_events_and_the_newest_state(
    nodes: dict[str, Node], worker: Worker, job: str, request_: dict[str, Any]
) -> None:
    clients = all_at(nodes, request_)
    fast = Client(nodes["direct"].url)
    fast.ask("watch", request_)

    # Far more than an outlet and the system hold together.
    publish(worker, job, 1, STEPS, length=40_000)
    fast.wait(STEPS)
    for client in clients.values():
        client.link.ping("what is written now must not fall into a frame")
        client.read()

    for client in clients.values():
        wait_until(lambda client=client: client.currents()[-1:] == [STEPS], seconds=30)
        while client.seqs() != list(range(1, STEPS + 1)):  # an ack holds so many bytes of events
            client.ask_again(request_)
            wait_until(lambda client=client: client.acked)
        assert client.seqs() == list(range(1, STEPS + 1))
        assert client.currents() == sorted(set(client.currents()))
        client.close()
    fast.close()


def test_clients_that_go_in_mid_frame_disturb_nobody(
    nodes: dict[str, Node], worker: Worker, job: str, request_: dict[str, Any]
) -> None:
    staying = all_at(nodes, request_)
    for client in staying.values():
        client.read()
    leaving = [client for _ in range(3) for client in all_at(nodes, request_).values()]
    publish(worker, job, 1, STEPS // 2, length=40_000)

    for number, client in enumerate(leaving):
        client.link.sock.recv(5000)
        if number % 2:  # by a reset, and by an end
            linger = b"\1\0\0\0\0\0\0\0"
            client.link.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        client.link.sock.close()
    publish(worker, job, STEPS // 2 + 1, STEPS)

    for client in staying.values():
        wait_until(client.has_all)
        assert client.seqs() == list(range(1, STEPS + 1))
        client.close()
    for node in nodes.values():
        assert requests.get(f"{node.url}/healthz", timeout=30).ok
        assert not [line for line in node.log if "Traceback" in line], node.log
