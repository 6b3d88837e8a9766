"""The message queue of one process, with stock processes' own managers beside."""

from __future__ import annotations

import json
import select
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from flask_socketio import SocketIO
from kombu import Connection, Exchange, Producer, Queue

from bridge.message_queue.choice import base_channel_of, carrier_of, line_of, post_of
from bridge.message_queue.memory import MemoryLink, MemoryManager
from bridge.settings import Settings
from tests.conftest import wait_until


@pytest.fixture
def settings(channel: str) -> Settings:
    return Settings.load({"message_queue": "memory://", "channel": channel}, environ={})


@pytest.fixture
def link(settings: Settings) -> Iterator[MemoryLink]:
    made: Any = line_of(settings, None).open()
    yield made
    made.close()


def test_a_link_is_woken_by_what_it_subscribed_to_and_by_nothing_else(
    settings: Settings, link: MemoryLink
) -> None:
    carrier = carrier_of(settings)
    assert carrier is not None
    room, other = f"{settings.channel}/job:1", f"{settings.channel}/user:1"
    link.subscribe(room)
    assert carrier.listened_to([room])
    assert not carrier.listened_to([other])
    carrier.carry([other], b"no", keep=False)
    assert select.select([link.socket], [], [], 0) == ([], [], [])
    carrier.carry([other, room], b"yes", keep=False)
    assert select.select([link.socket], [], [], 5)[0]
    assert list(link.receive()) == [(room, b"yes")]
    link.unsubscribe(room)
    assert not carrier.listened_to([room])


class Base:
    """What the manager of a node's base channel hears."""

    def __init__(self, settings: Settings) -> None:
        self.manager: MemoryManager = base_channel_of(settings)
        self.malformed = 0
        self.heard: list[dict[str, Any]] = []
        self.manager.on_malformed = self._count
        self.manager.server = SocketIO(async_mode="threading").server
        threading.Thread(target=self._listen, daemon=True).start()

    def _count(self) -> None:
        self.malformed += 1

    def _listen(self) -> None:
        for message in self.manager._listen():
            self.heard.append(message)


def test_the_base_channel_is_kombus_memory_transport(settings: Settings) -> None:
    base = Base(settings)
    token = uuid.uuid4().hex
    stock = SocketIO(message_queue="memory://", channel=settings.channel, async_mode="threading")

    def heard(event: str) -> bool:
        return any(each["event"] == event and token in each["data"] for each in base.heard)

    def stock_is_heard() -> bool:
        stock.emit("stock", token)
        return heard("stock")

    wait_until(stock_is_heard)
    ours = {"method": "emit", "event": "ours", "data": token, "host_id": "x"}
    post = post_of(settings, None)
    post.send(settings.channel, json.dumps(ours))
    wait_until(lambda: heard("ours"))
    post.send(settings.channel, '{"method": 5}')
    wait_until(lambda: base.malformed == 1)
    post.close()


def test_what_the_base_channel_sends_reaches_stock_processes(settings: Settings) -> None:
    exchange = Exchange(settings.channel, type="fanout", durable=False)
    with Connection("memory://") as connection:
        queue: Any = Queue(uuid.uuid4().hex, exchange, durable=False)(connection.channel())
        queue.declare()
        base_channel_of(settings)._publish({"method": "emit", "event": "e", "data": 1})
        wait_until(lambda: (message := queue.get(no_ack=True)) and '"e"' in str(message.payload))
        Producer(connection).close()
