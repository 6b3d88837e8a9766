"""The direct way: Engine.IO's connections, but what goes out to WebSockets goes through outlets.

A connection then has no task that writes and none that pings, which saves half of what a client
that only waits costs in memory. All this hangs on parts of Engine.IO, eventlet, gevent and
simple-websocket that are theirs alone; `is_supported` tells whether they are as they should be.
Where they are not, in threading mode, and for TLS in this process, Engine.IO's own way is used,
which is also the reference that tests compare with.
"""

from __future__ import annotations

import _socket
import contextlib
import importlib
import logging
import re
import socket
import time
from collections import deque
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from engineio.exceptions import SocketIsClosedError, UnknownPacketError
from engineio.packet import NOOP, PING, PONG, UPGRADE, Packet
from engineio.socket import Socket

from bridge.relay.outlet import Outlet, Outlets
from bridge.relay.patching import EVENTLET, GEVENT

#: So much later than it must an answer to a ping is missed, as the two clocks differ.
_GRACE_SECONDS: Final = 1.0
#: So many unsent bytes the system holds for a socket; a slow one takes no more memory than that.
_UNSENT_BYTES: Final = 65_536
#: What this was written for: the first version of each, and the first that nobody has looked at.
_RANGES: Final[dict[str, dict[str, tuple[tuple[int, ...], tuple[int, ...]]]]] = {
    EVENTLET: {"python-engineio": ((4, 12), (5,)), "eventlet": ((0, 40), (0, 42))},
    GEVENT: {
        "python-engineio": ((4, 12), (5,)),
        "gevent": ((24, 10), (27,)),
        "simple-websocket": ((1, 0), (2,)),
    },
}

_log = logging.getLogger(__name__)


def is_supported(mode: str) -> bool:
    """Tell whether the direct way works in an async mode, and log it if it only should."""
    for package, (first, beyond) in _RANGES.get(mode, {}).items():
        try:
            found = tuple(int(part) for part in re.findall(r"\d+", version(package))[:2])
        except PackageNotFoundError:
            found = ()
        if not first <= found < beyond:
            _log.warning("%s %s is not known here: Engine.IO's own way is used", package, found)
            return False
    return mode in _RANGES


class Direct:
    """Takes connections over from Engine.IO, and pings them.

    Args:
        mode: ``eventlet`` or ``gevent``.
        server: the python-socketio server.
        on_cut: called with the Engine.IO id of a client that is cut off because it reads nothing.
    """

    def __init__(self, mode: str, server: Any, on_cut: Callable[[str], None]) -> None:
        self._eio = server.eio
        self.outlets = Outlets(
            call_later=timer_of(mode), start_task=self._eio.start_background_task, on_cut=on_cut
        )
        self._pings: deque[tuple[float, Connection]] = deque()
        self._pongs: deque[tuple[float, Connection]] = deque()
        # Its task wakes up for each connection; here those who are late come first.
        self._eio.start_service_task = False

    def adopt(self, eio_sid: str) -> None:
        """Take a new connection over; Engine.IO makes its connections itself."""
        connection = self._eio.sockets[eio_sid]
        connection.__class__ = Connection
        connection.direct = self

    def ping_later(self, connection: Connection) -> None:
        """Have a connection pinged after the usual time."""
        self._pings.append((time.monotonic() + self._eio.ping_interval, connection))

    def tend(self) -> None:
        """Ping who is due, end who has not answered, forget who has gone; called now and then."""
        now = time.monotonic()
        while self._pings and self._pings[0][0] <= now:
            _, connection = self._pings.popleft()
            connection.ping()
            self._pongs.append((now + self._eio.ping_timeout + _GRACE_SECONDS, connection))
        while self._pongs and self._pongs[0][0] <= now:
            _, connection = self._pongs.popleft()
            if not connection.is_alive():
                self._eio.sockets.pop(connection.sid, None)
            elif connection.last_ping:
                self._pongs.append((now + _GRACE_SECONDS, connection))


class Connection(Socket):  # type: ignore[misc]  # Engine.IO has no types
    """An Engine.IO connection whose WebSocket has no task that writes, nor one that pings."""

    direct: Direct
    queue: Any
    last_ping: float | None
    connected: bool

    def schedule_ping(self) -> None:
        """Ping later, unless that is going to happen."""
        if self.last_ping:
            self.last_ping = None
            self.direct.ping_later(self)

    def ping(self) -> None:
        """Ping now."""
        if self.closing or self.closed:
            return
        self.last_ping = time.time()
        with contextlib.suppress(SocketIsClosedError):
            self.send(Packet(PING))

    def is_alive(self) -> bool:
        """End the connection if it has not answered a ping; whether it is open still."""
        with contextlib.suppress(SocketIsClosedError):
            self.check_ping_timeout()
        return not self.closed

    def _websocket_handler(self, websocket: Any) -> Any:
        """Converse over a WebSocket, as Engine.IO does, until it ends."""
        outlet = _open(websocket, self)
        if outlet is None:
            return super()._websocket_handler(websocket)
        if self.connected and not self._upgrade(websocket, outlet):
            return []
        self.connected = self.upgraded = True
        self._turn_to(outlet)
        self._receive_all(websocket)
        outlet.put(None)
        self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)
        return []

    def _upgrade(self, websocket: Any, outlet: Outlet) -> bool:
        """Go over from polling; False if the client doesn't."""
        self.upgrading = True  # from now on polls get nothing but NOOP
        try:
            probe = Packet(encoded_packet=self._next(websocket))
            if probe.packet_type != PING or probe.data != "probe":
                return False
            outlet.put(Packet(PONG, data="probe"))
            self.queue.put(Packet(NOOP))  # ends the poll
            self.upgraded = Packet(encoded_packet=self._next(websocket)).packet_type == UPGRADE
            return bool(self.upgraded)
        finally:
            self.upgrading = False

    def _turn_to(self, outlet: Outlet) -> None:
        """Send what waited in the queue, and from now on everything, through the outlet."""
        queue, self.queue = self.queue, outlet
        while queue.qsize():
            packet = queue.get(block=False)
            outlet.put(packet)
        queue.put(Packet(NOOP))  # for a poll that should have ended already

    def _receive_all(self, websocket: Any) -> None:
        while True:
            try:
                data = self._next(websocket)
            except Exception as error:  # noqa: BLE001 - whatever it was, the connection has ended
                self.server.logger.info("%s: the connection ended: %r", self.sid, error)
                return
            if data is None:
                return
            packet = Packet(encoded_packet=data)
            try:
                self.receive(packet)
            except UnknownPacketError:
                pass
            except SocketIsClosedError:
                return

    def _next(self, websocket: Any) -> Any:
        data = websocket.wait()
        if data and len(data) > self.server.max_http_buffer_size:
            raise ValueError("packet is too large")
        return data


def _open(websocket: Any, connection: Connection) -> Outlet | None:
    """Return a WebSocket's outlet, through which all that it sends goes; None if it can't be."""
    inner = getattr(websocket, "raw", None) or getattr(websocket, "ws", websocket)
    is_eventlet = hasattr(inner, "_recv_frame")
    link: Any = inner.socket if is_eventlet else getattr(inner, "sock", None)
    raw = getattr(link, "fd" if is_eventlet else "_sock", None)
    if not isinstance(raw, _socket.socket) or hasattr(link, "getpeercert"):
        return None  # TLS in this process, or something that we don't know
    link.settimeout(connection.server.ping_interval + connection.server.ping_timeout)
    tune(raw)
    outlet = Outlet(
        connection.direct.outlets, link, raw.send, lambda: _close(websocket), connection.sid
    )
    if is_eventlet:
        inner._send = outlet.write_at_once
    else:
        inner.sock = _Through(link, outlet)
    return outlet


def tune(raw: Any) -> None:
    """Send at once, and don't let the system hold megabytes for a client that reads nothing."""
    for level, option, value in (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_NOTSENT_LOWAT", None), _UNSENT_BYTES),
    ):
        with contextlib.suppress(OSError):  # no TCP, but a Unix socket behind a proxy
            if option is not None:
                raw.setsockopt(level, option, value)


def _close(websocket: Any) -> None:
    with contextlib.suppress(OSError):
        websocket.close()


class _Through:
    """The socket of a simple-websocket, whose frames go out in order with ours.

    Args:
        link: the socket; outlet: its outlet.
    """

    def __init__(self, link: Any, outlet: Outlet) -> None:
        self._link = link
        self._outlet = outlet

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._outlet.write_at_once(data)


def timer_of(mode: str) -> Callable[[float, Callable[[], None]], object]:
    """Return what calls a function in the event loop of an async mode, after seconds."""
    if mode == EVENTLET:
        hub = importlib.import_module("eventlet.hubs").get_hub()
        return hub.schedule_call_global  # type: ignore[no-any-return]
    loop = importlib.import_module("gevent").get_hub().loop
    timers: set[Any] = set()

    def call_later(seconds: float, function: Callable[[], None]) -> None:
        timer = loop.timer(seconds)
        timers.add(timer)  # else it would be collected

        def fire() -> None:
            timers.discard(timer)
            timer.close()
            function()

        timer.start(fire)

    return call_later
