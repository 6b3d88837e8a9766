"""Outlets: whole frames in order over sockets that take little, close, and are full."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from eventlet.websocket import RFC6455WebSocket
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.relay import direct, outlet
from bridge.relay.outlet import (
    HOLD_SECONDS,
    MAX_BYTES,
    SLOW_BYTES,
    Outlet,
    Outlets,
    websocket_frame,
)
from tests.nodes import passes

FUZZ = """
from bridge.relay.patching import patch
patch({mode!r})
import random, socket, sys, threading, time
from bridge.relay.direct import timer_of
from bridge.relay.outlet import Outlet, Outlets, websocket_frame

def start(task):
    threading.Thread(target=task, daemon=True).start()

outlets = Outlets(call_later=timer_of({mode!r}), start_task=start, on_cut=print)
for seed in range(6):
    dice = random.Random(seed)
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
    raw = getattr(near, "fd", None) or near._sock
    closed = threading.Event()
    way = Outlet(outlets, near, raw.send, closed.set, "sid")
    got, ends_early = bytearray(), seed >= 4

    def read():
        while data := far.recv(dice.choice([1, 7, 300, 5000, 70000])):
            got.extend(data)
            if ends_early and len(got) > 50_000:
                far.close()
                return
            if dice.random() < 0.2:
                time.sleep(0.001)

    reader = threading.Thread(target=read)
    reader.start()
    sent = bytearray()
    for number in range(400):
        frame = websocket_frame(str(number) * dice.choice([1, 30, 300, 3000]))
        sent.extend(frame)
        if dice.random() < 0.3:
            way.write_at_once(frame)
        else:
            outlets.write([way], frame)
        if dice.random() < 0.2:
            time.sleep(0.001)
    way.put(None)
    if ends_early:
        reader.join(20)
        while way.stuck:
            time.sleep(0.01)
        assert way.is_slow(), "nobody adds anything to a dead one"
        assert sent.startswith(got)
        continue
    assert closed.wait(20), (len(sent), len(got), way.size)
    near.close()
    reader.join(20)
    assert got == sent, (len(got), len(sent))
    assert not way.stuck and not way.size
"""


class Loop:
    """An event loop in the test's hands."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: list[tuple[float, Callable[[], None]]] = []
        self.tasks: list[Callable[[], None]] = []

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        self.calls.append((self.now + seconds, function))

    def turn(self, seconds: float = 0) -> None:
        """Let that much time pass, and call what is due."""
        self.now += seconds
        due = [call for call in self.calls if call[0] <= self.now + 1e-9]
        self.calls = [call for call in self.calls if call not in due]
        for _, function in due:
            function()


class Socket:
    """Takes so many bytes at a time."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.sent: list[bytes] = []
        self.closed = False

    def send(self, data: bytes) -> int:
        if not self.room:
            raise BlockingIOError
        self.sent.append(data[: self.room])
        return len(self.sent[-1])

    def sendall(self, data: bytes) -> None:
        self.sent.append(data)

    def shutdown(self, how: int) -> None:
        self.closed = True


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    loop = Loop()
    monkeypatch.setattr(outlet, "time", SimpleNamespace(monotonic=lambda: loop.now))
    return loop


@pytest.fixture
def make(loop: Loop) -> Callable[..., tuple[Outlet, Socket]]:
    cut: list[str] = []
    all_outlets = Outlets(call_later=loop.later, start_task=loop.tasks.append, on_cut=cut.append)

    def make(room: int = 1 << 30) -> tuple[Outlet, Socket]:
        link = Socket(room)
        return Outlet(all_outlets, link, link.send, lambda: link.shutdown(1), "eio"), link

    make.cut = cut  # type: ignore[attr-defined]
    make.outlets = all_outlets  # type: ignore[attr-defined]
    return make


@pytest.mark.parametrize("mode", ["eventlet", "gevent"])
def test_whole_frames_in_order_whatever_the_socket_takes(mode: str) -> None:
    passes(FUZZ.format(mode=mode))


@settings(deadline=None)
@given(text=st.text(max_size=300), times=st.sampled_from([1, 400]), binary=st.booleans())
def test_a_frame_is_what_eventlet_makes_of_it(text: str, times: int, binary: bool) -> None:
    data = (text * times).encode() if binary else text * times
    theirs: Any = RFC6455WebSocket(
        SimpleNamespace(), {"wsgi.errors": None, "eventlet.posthooks": []}
    )
    assert websocket_frame(data) == theirs._pack_message(data)


def test_an_idle_socket_waits_for_nothing_and_a_busy_one_at_most_25_ms(
    loop: Loop, make: Any
) -> None:
    way, link = make()
    other, idle = make()
    make.outlets._free = 0
    make.outlets.write([way], b"1")
    assert link.sent == [b"1"]

    for frame in (b"2", b"3", b"4"):
        loop.turn(0.001)
        make.outlets._free = 0
        make.outlets.write([way], frame)
    make.outlets.write([other], b"x")
    assert idle.sent == [b"x"], "one that is idle does not wait for one that is busy"
    assert link.sent == [b"1"]
    loop.turn(0.025)

    assert link.sent == [b"1", b"234"]
    loop.turn(HOLD_SECONDS)
    make.outlets.write([way], b"5")
    assert link.sent[-1] == b"5"
    assert (way.size, loop.calls) == (0, [])


def test_a_node_with_little_to_do_writes_at_once(loop: Loop, make: Any) -> None:
    way, link = make()
    for number in range(20):
        make.outlets.write([way], b"%d," % number)
        loop.turn(0.004)

    assert len(link.sent) == 20


def test_what_may_not_wait_takes_with_it_what_waits(loop: Loop, make: Any) -> None:
    way, link = make()
    make.outlets.write([way], b"a")
    make.outlets._free = 0
    make.outlets.write([way], b"b")
    way.write_at_once(b"ping")
    make.outlets.write([way], b"c")
    loop.turn(0.025)

    assert link.sent == [b"a", b"bping", b"c"]


def test_nothing_is_written_into_the_middle_of_a_frame(loop: Loop, make: Any) -> None:
    way, link = make(room=3)
    way.write_at_once(b"abcdef")
    way.write_at_once(b"ping")
    make.outlets.write([way], b"gh")
    loop.turn(1)
    assert link.sent == [b"abc"]

    way.put(None)
    assert not link.closed
    (task,) = loop.tasks
    task()

    assert b"".join(link.sent) == b"abcdefpinggh"
    assert link.closed
    assert (way.stuck, way.size) == (False, 0)


def test_a_full_socket_is_slow_and_then_cut_off(loop: Loop, make: Any) -> None:
    way, link = make(room=0)
    make.outlets.write([way], b"x" * SLOW_BYTES)
    assert not way.is_slow()
    make.outlets.write([way], b"x")
    assert way.is_slow()

    for _ in range(2 * MAX_BYTES // 100_000):
        way.write_at_once(b"x" * 100_000)
        assert way.is_slow()

    assert make.cut == ["eio"]
    assert link.closed
    assert sum(map(len, way.frames)) == 0


def test_an_unknown_version_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert direct.is_supported("eventlet")
    assert direct.is_supported("gevent")
    assert not direct.is_supported("threading")
    monkeypatch.setattr(direct, "version", lambda name: "99.1")
    assert not direct.is_supported("eventlet")
    assert "99" in caplog.text


def test_the_system_keeps_little_for_a_client_that_reads_nothing() -> None:
    near, far = socket.socketpair()
    with near, far:
        direct.tune(near)  # no TCP: nothing to tune, and no error

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as server,
    ):
        direct.tune(server)
        server.setblocking(False)
        assert sent_until_full(server) < 1_000_000


def sent_until_full(link: socket.socket) -> int:
    sent = 0
    while True:
        try:
            sent += link.send(b"x" * 10_000)
        except BlockingIOError:
            return sent
