"""Messages of the base channel: what stock processes send is understood, the rest is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from socketio import PubSubManager, Server

from bridge.message_queue.stock import parse


class Stock(PubSubManager):  # type: ignore[misc]  # python-socketio has no types
    """A stock manager whose messages are kept."""

    def __init__(self) -> None:
        super().__init__(write_only=True)
        self.sent: list[bytes] = []

    def _publish(self, data: Any) -> None:
        self.sent.append(json.dumps(data).encode())


def test_all_that_a_stock_process_sends_is_understood() -> None:
    stock = Stock()
    Server(client_manager=stock, async_mode="threading")
    for data in (None, 1, "text", [1, 2], {"a": 1}, (1, "two"), (), b"bytes", {"a": b"bytes"}):
        stock.emit("event", data)
    for room in ("a-room", 7, ["a", "b", 7]):
        stock.emit("event", 1, room=room, namespace="/n", skip_sid="a-sid")
    stock.emit("event", 1, skip_sid=["a", "b"])
    stock.disconnect("a-sid", "/n")
    stock.close_room("a-room")
    stock.can_disconnect("a-sid", "/n")
    stock.enter_room("a-sid", "/n", "a-room")
    stock.leave_room("a-sid", "/n", "a-room")
    stock._return_callback("another-host", "a-sid", "/n", 3, "answer")
    assert len(stock.sent) > 15
    assert [parse(message) for message in stock.sent] == [json.loads(m) for m in stock.sent]


@given(st.binary(max_size=50))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    parse(data)


@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b'{"method":{}}', b'{"method":"emit","event":[]}']
)
def test_junk_is_nothing(data: bytes) -> None:
    assert parse(data) is None
