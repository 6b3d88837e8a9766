"""WebSocket frames on their way into Engine.IO, which has no answer to some of them.

A frame that Engine.IO can't decode would end its reader without closing the connection; here it
closes it. Frames that carry no message, or only a part of one, are counted; who was cut off is read
from no longer; and after each frame others have their turn.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from bridge.relay.gate import Gate

#: So many frames of a client may wait to be read.
INBOX_FRAMES: Final = 16
_MESSAGE: Final = "4"
#: The bit of a WebSocket frame's opcode that tells pings, pongs and closings.
_CONTROL: Final = 8

_log = logging.getLogger(__name__)


def guarded(make: Any, gate: Callable[[], Gate]) -> Any:
    """Return a maker of WebSockets for Engine.IO whose frames are guarded.

    Args:
        make: Engine.IO's own for the async mode; None where there is none.
        gate: gives this process's gate.
    """
    if make is None:
        return None

    def made(handler: Any, server: Any) -> Any:
        websocket = make(lambda websocket: _converse(handler, websocket, gate()), server)
        if hasattr(websocket, "server_args"):  # simple-websocket; eventlet's knows its limit
            websocket.server_args["max_message_size"] = server.max_http_buffer_size
        return websocket

    return made


def _converse(handler: Any, websocket: Any, gate: Gate) -> Any:
    connection = handler.__self__
    frames = _Frames(websocket, connection, gate)
    if not gate.links.open(connection, frames.end):
        gate.malformed("malformed.upgrade")
        frames.end()
        return []
    link: Any = getattr(websocket, "ws", None)
    if hasattr(link, "input_buffer"):
        link.sock = _WholeSends(link.sock)
        link.input_buffer = _Inbox(link, connection.server.sleep)
        _guard_events(link, connection, gate)
    elif hasattr(websocket, "_recv_frame"):
        websocket._recv_frame = _Fragments(websocket._recv_frame, connection, gate)
    try:
        return handler(frames)
    except Exception as error:  # noqa: BLE001 - whatever came, this connection alone ends
        _log.debug("a malformed frame of a client: %r", error)
        gate.cut(connection.sid, "malformed.frame")
        return []
    finally:
        gate.links.closed(connection.sid)


class _Fragments:
    """Reads a frame of eventlet's WebSocket, which itself bounds single frames only.

    Args:
        receive: eventlet's own way.
        connection: Engine.IO's; gate: where frames are counted.
    """

    def __init__(self, receive: Any, connection: Any, gate: Gate) -> None:
        self._receive = receive
        self._connection = connection
        self._gate = gate
        self._length = 0

    def __call__(self, message: Any = None) -> Any:
        """Return the message that the next frame belongs to."""
        self._connection.server.sleep(0)
        pieces = len(message.data) if message is not None else 0
        frame = self._receive(message=message)
        if frame.finished and message is None and not frame.opcode & _CONTROL:
            return frame
        if _is_flooding(self._connection, self._gate):
            raise ConnectionAbortedError("too many frames that are no whole message")
        if frame is message or not frame.finished:
            self._length = (self._length if frame is message else 0) + sum(
                map(len, frame.data[pieces:])
            )
            if self._length > self._connection.server.max_http_buffer_size:
                self._gate.cut(self._connection.sid, "limit.size")
                raise ConnectionAbortedError("the fragments of a message are too many bytes")
        return frame


def _guard_events(link: Any, connection: Any, gate: Gate) -> None:
    """Count the frames of a simple-websocket that are no whole message, and let others go on."""
    handle, events = link._handle_events, link.ws.events
    length = 0

    def handle_in_turn() -> Any:
        connection.server.sleep(0)
        return handle()

    def counted() -> Iterator[Any]:
        nonlocal length
        for event in events():
            is_whole = getattr(event, "message_finished", False)
            if not is_whole and _is_flooding(connection, gate):
                raise ConnectionAbortedError("too many frames that are no whole message")
            length += len(event.data) if hasattr(event, "message_finished") else 0
            if length > connection.server.max_http_buffer_size:
                gate.cut(connection.sid, "limit.size")
                raise ConnectionAbortedError("a message of too many bytes")
            length = 0 if is_whole else length
            yield event

    link._handle_events, link.ws.events = handle_in_turn, counted


def _is_flooding(connection: Any, gate: Gate) -> bool:
    if not gate.is_flooding(connection.sid, parts=True):
        return False
    gate.cut(connection.sid, "limit.flood")
    return True


def unmask(data: bytes, mask: Sequence[int], length: int | None = None, offset: int = 0) -> bytes:
    """Do what eventlet's WebSocket does byte by byte, some hundred times as fast.

    Eventlet's own way takes 70 ms for the largest message, in which nobody else is served.

    Args:
        data: a masked piece of a frame; mask: its four bytes.
        length: how much of it counts; default: all.
        offset: how much of the frame came before.
    """
    data = data[:length]
    turned = bytes(mask[(offset + i) % 4] for i in range(4))
    repeated = (turned * (len(data) // 4 + 1))[: len(data)]
    plain = int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")
    return plain.to_bytes(len(data), "big")


class _WholeSends:
    """The socket of a simple-websocket, which forgets what a slow client's socket did not take.

    Args:
        socket: under gevent its `send` is partial; threads may send at the same time.
    """

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def send(self, data: bytes) -> None:
        """Send all of it before anything else is sent."""
        with self._lock:
            self._socket.sendall(data)


class _Inbox(list[Any]):
    """What simple-websocket has received and nobody has read: bounded, so that TCP slows it down.

    Args:
        link: simple-websocket's connection, whose thread fills this.
        sleep: waits in the way of the async mode.
    """

    def __init__(self, link: Any, sleep: Callable[[float], None]) -> None:
        super().__init__(link.input_buffer)
        self._link = link
        self._sleep = sleep

    def append(self, frame: Any) -> None:
        """Take a frame as soon as there is room."""
        while len(self) >= INBOX_FRAMES and self._link.connected:
            self._sleep(0.005)
        super().append(frame)


class _Frames:
    """A WebSocket as Engine.IO uses it."""

    def __init__(self, websocket: Any, connection: Any, gate: Gate) -> None:
        self._websocket = websocket
        self._connection = connection
        self._gate = gate
        #: What the library behind Engine.IO's WebSocket made.
        self.raw: Any = getattr(websocket, "ws", websocket)
        if hasattr(self.raw, "_apply_mask"):
            self.raw._apply_mask = unmask

    def __getattr__(self, name: str) -> Any:
        return getattr(self._websocket, name)

    def wait(self) -> Any:
        """Return the next frame, None at the end."""
        if self._connection.closed:
            return self.end()
        # A client that always has the next frame ready would never let others have their turn.
        self._connection.server.sleep(0)
        frame = self._websocket.wait()
        is_message = isinstance(frame, str) and frame.startswith(_MESSAGE)
        if frame is not None and not is_message and self._gate.is_flooding(self._connection.sid):
            self._gate.cut(self._connection.sid, "limit.flood")
            return self.end()
        return frame

    def close(self) -> None:
        """Close the WebSocket; the client may have gone already."""
        with contextlib.suppress(OSError):
            self._websocket.close()

    def end(self) -> None:
        """Close the TCP connection, so that a writer which a silent client blocks gives up."""
        for name in ("socket", "sock"):
            with contextlib.suppress(AttributeError, OSError):
                getattr(self.raw, name).shutdown(socket.SHUT_RDWR)
