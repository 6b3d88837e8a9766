"""A node under attack, and a client that must not feel it."""

from __future__ import annotations

import itertools
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import websocket

from bridge.settings import Settings
from tests.conftest import RedisServer
from tests.nodes import SECRET, Client, Node, Worker

PROGRAM = (sys.executable, str(Path(__file__).with_name("attacked_node.py")))
#: So many messages a second that the limit does not hide what lies behind it.
UNLIMITED = "100000"


class Attacked:
    """A node, with a worker that publishes to it and a healthy client of it."""

    def __init__(self, redis: RedisServer, **environ: str) -> None:
        self.settings = Settings.load(
            {
                "message_queue": redis.url,
                "channel": f"attack-{uuid.uuid4().hex}",
                "secret_key": SECRET,
            },
            environ={},
        )
        self.node = self.start(self.settings, **environ)
        self.worker = Worker(self.settings)
        self.job = uuid.uuid4().hex
        self.token = self.worker.tokens.issue(jobs=self.job)
        self._numbers = itertools.count(1)
        self._healthy = Client(self.node.url)
        ack = self._healthy.ask("watch", {"job": self.job, "token": self.token})
        assert ack["ok"], ack

    @staticmethod
    def start(settings: Settings, **environ: str) -> Node:
        return Node(settings, program=PROGRAM, **environ)

    @property
    def url(self) -> str:
        return self.node.url

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.port is not None
        return "127.0.0.1", parts.port

    def assert_serves(self, seconds: float = 5) -> float:
        """The healthy client is asked, told and answered; returns the seconds that it took."""
        began = time.monotonic()
        assert self.node.process.poll() is None, "\n".join(self.node.log[-50:])
        number = next(self._numbers)
        self.worker.state(self.job, current=number)
        self._healthy.wait(number, seconds=seconds)
        ack = self._healthy.ask("watch", {"job": self.job, "token": self.token})
        assert ack["snapshot"]["current"] == number
        return time.monotonic() - began

    def counters(self) -> dict[str, int]:
        answer = requests.get(f"{self.url}/counters", timeout=30)
        return dict(answer.json())

    def errors(self) -> list[str]:
        """What our own code logged as a fault of the node."""
        return [line for line in list(self.node.log) if line.startswith("ERROR:bridge")]

    def close(self) -> None:
        self._healthy.close()
        assert self.node.stop() == 0, "\n".join(self.node.log[-50:])


@contextmanager
def attacked(redis: RedisServer, **environ: str) -> Iterator[Attacked]:
    """A node for the length of a block."""
    victim = Attacked(redis, **environ)
    try:
        yield victim
    finally:
        victim.close()


@contextmanager
def raw_websocket(victim: Attacked, *, connect: bool = True) -> Iterator[websocket.WebSocket]:
    """An Engine.IO WebSocket without a client library; in the bridge's namespace if `connect`."""
    host, port = victim.address
    link = websocket.create_connection(
        f"ws://{host}:{port}/socket.io/?EIO=4&transport=websocket", timeout=10
    )
    try:
        assert str(link.recv()).startswith("0{")
        if connect:
            link.send("40/bridge,")
            assert str(link.recv()).startswith("40/bridge,")
        yield link
    finally:
        link.shutdown()


def open_polling(victim: Attacked) -> str:
    """Begin an Engine.IO session by polling; returns the address to post to."""
    url = f"{victim.url}/socket.io/?EIO=4&transport=polling"
    text = requests.get(url, timeout=30).text
    sid: Any = text.partition('"sid":"')[2].partition('"')[0]
    assert sid, text
    return f"{url}&sid={sid}"
