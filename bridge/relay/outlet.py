"""Outlets: the direct way from a node to its WebSockets, in the place of Engine.IO's queues.

Engine.IO puts each packet into a queue of its connection, from which a task of that connection
takes it, frames it and sends it: a queue, a switch of tasks and a frame for each client and
message. An outlet stands where that queue was, takes frames that are made once for all clients, and
writes them itself, without waiting. What a socket doesn't take at once is written by a task that
lives only as long, so that nothing is ever written into the middle of a frame.

A frame for a socket that has had nothing for `HOLD_SECONDS` is written at once; those that come
within that time go out together in one write, unless the node has little to do.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from engineio.packet import Packet

#: Frames of jobs wait so long for others to the same socket, and at most `_GRID_SECONDS` more;
#: with what the subscriber gathers that makes 25 ms at the most.
HOLD_SECONDS: Final = 0.015
_GRID_SECONDS: Final = 0.005
#: So many writes a second, and at once, a node makes without waiting for more to send.
FREE_WRITES: Final = 500
_FREE_AT_ONCE: Final = 100
#: A socket for which more bytes wait is slow: it gets no further messages of jobs.
SLOW_BYTES: Final = 65_536
#: So many bytes that must not be left out may wait for a socket; beyond, it is closed.
MAX_BYTES: Final = 8 * 1024 * 1024


def websocket_frame(data: str | bytes) -> bytes:
    """Return one unmasked frame, as a server sends it."""
    opcode = 0x81 if isinstance(data, str) else 0x82
    body = data.encode() if isinstance(data, str) else bytes(data)
    length = len(body)
    if length < 126:
        return struct.pack("!BB", opcode, length) + body
    if length < 65536:
        return struct.pack("!BBH", opcode, 126, length) + body
    return struct.pack("!BBQ", opcode, 127, length) + body


class Outlets:
    """The outlets of one process, and what of them waits.

    Args:
        call_later: calls a function in the event loop after seconds: (seconds, function).
        start_task: starts a task in the way of the async mode.
        on_cut: called with the Engine.IO id of a client that is cut off because it reads nothing.
    """

    def __init__(
        self,
        *,
        call_later: Callable[[float, Callable[[], None]], object],
        start_task: Callable[[Callable[[], None]], object],
        on_cut: Callable[[str], None],
    ) -> None:
        self._call_later = call_later
        self.start_task = start_task
        self.on_cut = on_cut
        self._held: list[Outlet] = []
        self._holding = False
        self._free = float(_FREE_AT_ONCE)
        self._counted_at = time.monotonic()

    def write(self, outlets: Iterable[Outlet], frame: bytes) -> int:
        """Write a frame to each outlet, or keep it there for a while; returns how many they are."""
        now = time.monotonic()
        before, length, count = now - HOLD_SECONDS, len(frame), 0
        free = min(_FREE_AT_ONCE, self._free + (now - self._counted_at) * FREE_WRITES)
        for outlet in outlets:
            count += 1
            if outlet.size:  # it is stuck, or what waits there is written soon
                outlet.frames.append(frame)
                outlet.size += length
                continue
            if outlet.written_at > before:
                if free < 1:
                    outlet.frames.append(frame)
                    outlet.size = length
                    self._hold(outlet)
                    continue
                free -= 1
            outlet.written_at = now
            try:
                sent = outlet.send(frame)
            except OSError as error:
                outlet.fail(error, frame)
            else:
                if sent != length:
                    outlet.keep(frame[sent:])
        self._free, self._counted_at = free, now
        return count

    def _hold(self, outlet: Outlet) -> None:
        self._held.append(outlet)
        if not self._holding:
            self._wait(time.monotonic())

    def _write_held(self) -> None:
        """Write what has waited for long enough. Runs in the event loop, so it must not wait."""
        now = time.monotonic()
        before = now - HOLD_SECONDS
        held, self._held = self._held, []
        for outlet in held:
            if outlet.written_at <= before:
                outlet.write(now)
            else:
                self._held.append(outlet)
        self._holding = False
        if self._held:
            self._wait(now)

    def _wait(self, now: float) -> None:
        self._holding = True
        due = min(outlet.written_at for outlet in self._held) + HOLD_SECONDS
        self._call_later(max(due - now, _GRID_SECONDS), self._write_held)


class Outlet:
    """The way out to one WebSocket; to Engine.IO it is the connection's queue.

    Args:
        group: the outlets of this process.
        link: the WebSocket's socket; send: writes to it what it takes, without waiting.
        close: closes the WebSocket.
        eio_sid: the connection's id.

    Attributes:
        group: as given.
        frames: what waits; `Outlets` adds to it.
        send: as given; for `Outlets`, and only while nothing waits.
        size: how many bytes wait.
        stuck: whether the socket takes nothing just now.
        written_at: when something was last written.
    """

    __slots__ = (
        "_close", "_closing", "_eio_sid", "_ended", "_link", "frames", "group", "send", "size",
        "stuck", "written_at",
    )  # fmt: skip

    def __init__(
        self,
        group: Outlets,
        link: Any,
        send: Callable[[bytes], int],
        close: Callable[[], None],
        eio_sid: str,
    ) -> None:
        self.group = group
        self._link = link
        self.send = send
        self._close = close
        self._eio_sid = eio_sid
        self.frames: list[bytes] = []
        self._closing = False
        self._ended = False
        self.size = 0
        self.stuck = False
        self.written_at = 0.0

    def is_slow(self) -> bool:
        """Whether so much waits that messages of jobs are better left out."""
        if self.size > SLOW_BYTES and not self.stuck:
            self.write(time.monotonic())
        return self.size > SLOW_BYTES

    def write_at_once(self, frame: bytes) -> None:
        """Write a frame now, after those that wait; if the socket takes nothing, keep it."""
        if self._ended:
            return
        self.frames.append(frame)
        self.size += len(frame)
        if not self.stuck:
            self.write(time.monotonic())
        elif self.size > MAX_BYTES:
            self.group.on_cut(self._eio_sid)
            self.end()

    def write(self, now: float) -> None:
        """Write all that waits, without waiting."""
        if self.stuck or not self.frames:
            return
        data = self._take()
        self.size = 0
        self.written_at = now
        try:
            sent = self.send(data)
        except OSError as error:
            self.fail(error, data)
        else:
            if sent != len(data):
                self.keep(data[sent:])

    def fail(self, error: OSError, data: bytes) -> None:
        """Nothing of this was written: keep it, if the socket is only full."""
        if isinstance(error, BlockingIOError):
            self.keep(data)
        else:
            self.end()

    def keep(self, data: bytes) -> None:
        """The socket takes no more just now: a task writes this, and all that comes meanwhile."""
        self.stuck = True
        self.frames.insert(0, data)
        self.size += len(data)
        self.group.start_task(self._write_patiently)

    def end(self) -> None:
        """Give up: whoever reads from the socket learns it, and ends the connection."""
        self._ended = True
        self.frames.clear()
        self.size = sys.maxsize  # so slow that nobody adds anything
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)

    # What Engine.IO does with a queue.

    def put(self, packet: Packet | None) -> None:
        """Write a packet; None: close the WebSocket after what waits."""
        if packet is not None:
            self.write_at_once(websocket_frame(packet.encode()))
        elif not self._closing:
            self._closing = True
            if not self.stuck:
                self.write(time.monotonic())
            if not self.stuck:
                self._close()

    def join(self) -> None:
        """Nobody need wait: what waits is sent, or the connection ends."""

    def qsize(self) -> int:
        """How many frames wait, as far as that is known."""
        return len(self.frames)

    def _take(self) -> bytes:
        frames, self.frames = self.frames, []
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def _write_patiently(self) -> None:
        """Write what the socket didn't take at once, and all that comes meanwhile."""
        try:
            while self.frames:
                data = self._take()
                self._link.sendall(data)
                self.size = sum(map(len, self.frames))
        except OSError:
            self.end()
        self.stuck = False
        self.written_at = time.monotonic()
        if self._closing:
            self._close()
