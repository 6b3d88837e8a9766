"""Messages of the base channel: what stock processes send is understood, the rest is not."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from socketio import PubSubManager, Server

from bridge.message_queue import stock
from bridge.message_queue.rabbitmq import base_channel
from bridge.message_queue.stock import parse


class Stock(PubSubManager):  # type: ignore[misc]  # python-socketio has no types
    """A stock manager whose messages are kept."""

    def __init__(self) -> None:
        super().__init__(write_only=True)
        self.sent: list[bytes] = []

    def _publish(self, data: Any) -> None:
        self.sent.append(json.dumps(data).encode())


def test_all_that_a_stock_process_sends_is_understood() -> None:
    stock_manager = Stock()
    Server(client_manager=stock_manager, async_mode="threading")
    for data in (None, 1, "text", [1, 2], {"a": 1}, (1, "two"), (), b"bytes", {"a": b"bytes"}):
        stock_manager.emit("event", data)
    for room in ("a-room", 7, ["a", "b", 7]):
        stock_manager.emit("event", 1, room=room, namespace="/n", skip_sid="a-sid")
    stock_manager.emit("event", 1, skip_sid=["a", "b"])
    stock_manager.disconnect("a-sid", "/n")
    stock_manager.close_room("a-room")
    stock_manager.can_disconnect("a-sid", "/n")
    stock_manager.enter_room("a-sid", "/n", "a-room")
    stock_manager.leave_room("a-sid", "/n", "a-room")
    stock_manager._return_callback("another-host", "a-sid", "/n", 3, "answer")
    assert len(stock_manager.sent) > 15
    assert [parse(message) for message in stock_manager.sent] == [
        json.loads(m) for m in stock_manager.sent
    ]


@given(st.binary(max_size=50))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    parse(data)


@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b'{"method":{}}', b'{"method":"emit","event":[]}']
)
def test_junk_is_nothing(data: bytes) -> None:
    assert parse(data) is None


class Enough(Exception):
    """It has tried often enough."""


@pytest.mark.parametrize("module", [stock, base_channel])
def test_a_queue_that_stays_away_is_told_once(
    module: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = 0

    def pause(_seconds: float) -> None:
        nonlocal tries
        tries += 1
        if tries == 5:
            raise Enough

    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=pause))
    if module is stock:
        manager = stock.StockManager("redis://127.0.0.1:1/0", "a-channel")
        manager.server = SimpleNamespace(logger=logging.getLogger("bridge"))
        listening = manager._redis_listen_with_retries()
    else:
        listening = base_channel.RabbitManager("amqp://127.0.0.1:1", "a-channel")._listen()
    with pytest.raises(Enough):
        next(listening)

    told = [record.levelname for record in caplog.records if "is lost" in record.message]
    assert told == ["WARNING"]
