"""Outlets: the direct way from a node to its WebSockets, in the place of Engine.IO's queues.

Engine.IO puts each packet into a queue of its connection, from which a task of that connection
takes it, frames it and sends it: a queue, a switch of tasks and a frame for each client and
message. An outlet stands where that queue was, takes frames that are made once for all clients, and
writes them itself, without waiting. What a socket doesn't take at once is written by a task that
lives only as long, so that nothing is ever written into the middle of a frame.

Frames of jobs that come for the same socket shortly one after the other go out in one write. Where
a socket has had nothing for `HOLD_SECONDS`, or the node has little to do, they don't wait for each
other.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from engineio.packet import Packet

#: Frames of jobs wait at most so long for others to the same socket, and a twentieth more.
HOLD_SECONDS: Final = 0.02
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
        call_soon: calls a function in the event loop when whoever runs now waits.
        call_later: the same after seconds: (seconds, function).
        start_task: starts a task in the way of the async mode.
        on_cut: called with the Engine.IO id of a client that is cut off because it reads nothing.
    """

    def __init__(
        self,
        *,
        call_soon: Callable[[Callable[[], None]], object],
        call_later: Callable[[float, Callable[[], None]], object],
        start_task: Callable[[Callable[[], None]], object],
        on_cut: Callable[[str], None],
    ) -> None:
        self._call_soon = call_soon
        self._call_later = call_later
        self.start_task = start_task
        self.on_cut = on_cut
        self._fresh: list[Outlet] = []
        self._held: list[Outlet] = []
        self._holding = False
        self._free = float(_FREE_AT_ONCE)
        self._counted_at = time.monotonic()

    def add(self, outlet: Outlet) -> None:
        """Have an outlet's frames written when whoever runs now has done what it is at."""
        if not self._fresh:
            self._call_soon(self._write_fresh)
        self._fresh.append(outlet)

    # These two run in the event loop itself, so nothing in them may wait.

    def _write_fresh(self) -> None:
        """Write to those that had nothing for a while; let the others wait for more."""
        now = time.monotonic()
        self._free = min(_FREE_AT_ONCE, self._free + (now - self._counted_at) * FREE_WRITES)
        self._counted_at = now
        fresh, self._fresh = self._fresh, []
        for outlet in fresh:
            if outlet.written_at + HOLD_SECONDS <= now:
                outlet.write(now)
            elif self._free >= 1:
                self._free -= 1
                outlet.write(now)
            else:
                self._held.append(outlet)
        if self._held and not self._holding:
            self._hold(now)

    def _write_held(self) -> None:
        now = time.monotonic()
        held, self._held = self._held, []
        for outlet in held:
            if outlet.written_at + HOLD_SECONDS <= now:
                outlet.write(now)
            else:
                self._held.append(outlet)
        self._holding = False
        if self._held:
            self._hold(now)

    def _hold(self, now: float) -> None:
        self._holding = True
        due = min(outlet.written_at for outlet in self._held) + HOLD_SECONDS
        self._call_later(max(due - now, _GRID_SECONDS), self._write_held)


class Outlet:
    """The way out to one WebSocket; to Engine.IO it is the connection's queue.

    Args:
        outlets: those of this process.
        link: the WebSocket's socket; send: writes to it what it takes, without waiting.
        close: closes the WebSocket.
        eio_sid: the connection's id.

    Attributes:
        size: how many bytes wait.
        stuck: whether the socket takes nothing just now.
        written_at: when something was last written.
    """

    __slots__ = (
        "_close", "_closing", "_eio_sid", "_ended", "_frames", "_link", "_outlets", "_send", "size",
        "stuck", "written_at",
    )  # fmt: skip

    def __init__(
        self,
        outlets: Outlets,
        link: Any,
        send: Callable[[bytes], int],
        close: Callable[[], None],
        eio_sid: str,
    ) -> None:
        self._outlets = outlets
        self._link = link
        self._send = send
        self._close = close
        self._eio_sid = eio_sid
        self._frames: list[bytes] = []
        self._closing = False
        self._ended = False
        self.size = 0
        self.stuck = False
        self.written_at = 0.0

    def add(self, frame: bytes) -> None:
        """Write a frame soon, with others if they come meanwhile."""
        frames = self._frames
        frames.append(frame)
        self.size += len(frame)
        if len(frames) == 1 and not self.stuck:
            self._outlets.add(self)

    def is_slow(self) -> bool:
        """Whether so much waits that messages of jobs are better left out."""
        if self.size > SLOW_BYTES and not self.stuck:
            self.write(time.monotonic())
        return self.size > SLOW_BYTES

    def write_at_once(self, frame: bytes) -> None:
        """Write a frame now, after those that wait; if the socket takes nothing, keep it."""
        if self._ended:
            return
        self._frames.append(frame)
        self.size += len(frame)
        if not self.stuck:
            self.write(time.monotonic())
        elif self.size > MAX_BYTES:
            self._outlets.on_cut(self._eio_sid)
            self.end()

    def write(self, now: float) -> None:
        """Write all that waits, without waiting."""
        if self.stuck or not self._frames:
            return
        data = self._take()
        self.written_at = now
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.end()
            return
        if sent == len(data):
            self.size = 0
            return
        self.stuck = True
        self._frames.insert(0, data[sent:])
        self.size = len(data) - sent
        self._outlets.start_task(self._write_patiently)

    def end(self) -> None:
        """Give up: whoever reads from the socket learns it, and ends the connection."""
        self._ended = True
        self._frames.clear()
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
        return len(self._frames)

    def _take(self) -> bytes:
        frames, self._frames = self._frames, []
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def _write_patiently(self) -> None:
        """Write what the socket didn't take at once, and all that comes meanwhile."""
        try:
            while self._frames:
                data = self._take()
                self._link.sendall(data)
                self.size = sum(map(len, self._frames))
        except OSError:
            self.end()
        self.stuck = False
        self.written_at = time.monotonic()
        if self._closing:
            self._close()
