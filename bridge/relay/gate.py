"""The gate: what a client may do before anybody looks at what it says.

Connections are counted by address, messages by their pace; what is too large or too deep is refused
unparsed, and who watches nothing is sent away. On a server that the application brought itself the
bridge only guards its own namespace.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from socketio.exceptions import ConnectionRefusedError as Unwelcome
from socketio.packet import ACK, Packet

from bridge.errors import BadRequest, Refused, TooMany
from bridge.relay.answers import refusal
from bridge.relay.caller import Caller, caller_of, counted_as, is_this_machine
from bridge.relay.depth import is_too_deep
from bridge.relay.fanout import unread_packets
from bridge.relay.links import Links
from bridge.relay.relay import Relay
from bridge.relay.requests import request_of
from bridge.settings import Settings

#: Connections of one address where the setting names no number.
CLIENTS_ADDRESS: Final = 100
#: A Socket.IO packet: type, attachments, namespace, number of the ack.
_PACKET_HEAD: Final = re.compile(r"([0-6])(\d{1,10}-)?(?:(/[^,?]*)[^,]*,?)?(\d{1,15})?(?!\d)")
#: A client that lets so many packets wait, refusals among them, reads nothing.
MAX_UNREAD_PACKETS: Final = 1024
_EVENTS: Final = "25"  # plain and binary

_log = logging.getLogger(__name__)


def _check_request(array: str) -> None:
    """Refuse what is no request: slowing down would not help whoever sends it.

    Raises:
        BadRequest: it isn't one.
        ValueError: it is not even JSON.
    """
    event, *arguments = json.loads(array)
    request_of(event, tuple(arguments))


@dataclass(slots=True)
class _Client:
    """A connection: who it is, and what it is counted by (None: it isn't)."""

    caller: Caller
    counted: str | None


class Gate:
    """Guards the clients of one process.

    Args:
        settings: the limits.
        server: the python-socketio server that holds the clients.
        relay: whose members they are, and where refusals are counted.
        whole: whether the server is the bridge's own, so that all its connections are guarded.
    """

    def __init__(self, settings: Settings, server: Any, relay: Relay, *, whole: bool) -> None:
        # Only now: `limits` takes 0.1 s to load, and what never serves builds the app, too.
        from bridge.relay.pace import Pace

        self._settings = settings
        self._server = server
        self._relay = relay
        self._whole = whole
        self._counters = relay.counters
        self._pace = Pace(settings.messages_rate, 4 * settings.messages_rate + settings.max_watches)
        self.links = Links(settings.quiet_seconds)
        self._clients: dict[str, _Client] = {}
        self._by_address: dict[str, int] = {}
        self._counting = threading.Lock()
        self._unheard: deque[tuple[float, str]] = deque()
        self._warned = False

    def caller(self, eio_sid: str) -> Caller:
        """Tell who the client of a connection is."""
        client = self._clients.get(eio_sid)
        if client is not None:
            return client.caller
        environ = self._server.environ.get(eio_sid, {})
        return caller_of(environ, self._settings.trusted_proxies)

    def connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        """A connection comes.

        Raises:
            TooMany: its address has too many.
        """
        caller = caller_of(environ, self._settings.trusted_proxies)
        client = self._clients[eio_sid] = _Client(caller, None)
        self._warn_of_proxy(environ)
        if self._whole:
            try:
                self._count(client)
            except TooMany:
                del self._clients[eio_sid]
                raise
            self._unheard.append((time.monotonic(), eio_sid))
        if self._relay.direct is not None:
            self._relay.direct.adopt(eio_sid)

    def enter(self, eio_sid: str) -> None:
        """A connection enters the bridge's namespace; where it was counted already, it may.

        Raises:
            ConnectionRefusedError: its address has too many; python-socketio tells the client.
        """
        client = self._clients.get(eio_sid)
        if client is None or self._whole or client.counted is not None:
            return
        try:
            self._count(client)
        except TooMany as error:
            raise Unwelcome(str(error), refusal(error)) from None

    def admit(self, ident: str, caller: Caller) -> None:
        """A client comes that needs no connection of Socket.IO's; `leave` ends it.

        Raises:
            TooMany: its address has too many.
        """
        client = _Client(caller, None)
        self._count(client)
        self._clients[ident] = client

    def leave(self, eio_sid: str) -> None:
        """A connection has gone."""
        for member in self._relay.members.of_connection(eio_sid):
            self._relay.members.disconnect(member)
        client = self._clients.pop(eio_sid, None)
        self._pace.forget(eio_sid)
        self.links.leave(eio_sid)
        if client is None or client.counted is None:
            return
        with self._counting:
            self._by_address[client.counted] -= 1
            if not self._by_address[client.counted]:
                del self._by_address[client.counted]

    def __len__(self) -> int:
        """How many connections and streams there are."""
        return len(self._clients)

    def message(self, eio_sid: str, data: Any, handle: Callable[[str, Any], Any]) -> None:
        """Let a message through to python-socketio, or refuse it with an ack.

        Args:
            eio_sid: whose it is.
            data: what came: text, or what else Engine.IO made of it.
            handle: handles it; what it raises is the client's fault.
        """
        head = _PACKET_HEAD.match(data) if isinstance(data, str) else None
        ours = head is not None and head[3] == self._settings.namespace
        if not (ours or self._whole):
            handle(eio_sid, data)
            return
        try:
            self._check(eio_sid, data, ours, head)
            handle(eio_sid, data)
        except Refused as error:
            self._refuse(eio_sid, head, error)
        except Exception as error:  # noqa: BLE001 - whatever a client sends, it costs no traceback
            self._counters.add("malformed.message")
            _log.debug("a malformed message of a client: %r", error)
            self._refuse(eio_sid, head, BadRequest("the message is malformed"))

    def malformed(self, reason: str) -> None:
        """Count what a client sent and nobody could read."""
        self._counters.add(reason)

    def is_flooding(self, eio_sid: str, *, parts: bool = False) -> bool:
        """Count a frame that is no message, or only a part of one; True: there are far too many."""
        return self._pace.frame(eio_sid, parts=parts) == "flood"

    def cut(self, eio_sid: str, reason: str) -> None:
        """End a connection at once; it is counted by the reason."""
        self._counters.add(reason)
        socket = self._server.eio.sockets.get(eio_sid)
        if socket is not None:
            # Without waiting: a client that reads nothing would keep us here.
            socket.close(wait=False, abort=True, reason=self._server.reason.SERVER_DISCONNECT)

    def tend(self) -> None:
        """Do what is due now and then."""
        self._end_quiet()
        self.links.tend()
        if self._relay.direct is not None:
            self._relay.direct.tend()

    def _end_quiet(self) -> None:
        """End the connections that have watched nothing for too long."""
        limit = time.monotonic() - self._settings.quiet_seconds
        while self._unheard and self._unheard[0][0] <= limit:
            _, eio_sid = self._unheard.popleft()
            if eio_sid not in self._clients:
                continue
            members = self._relay.members.of_connection(eio_sid)
            if any(member.has_watched for member in members) or self._is_busy(eio_sid):
                continue
            for member in members:
                # Thus told, a client doesn't come back by itself until it wants something.
                self._server.disconnect(member.sid, namespace=member.namespace)
            self.cut(eio_sid, "limit.quiet")

    def _check(self, eio_sid: str, data: Any, ours: bool, head: re.Match[str] | None) -> None:
        if unread_packets(self._server, eio_sid) >= MAX_UNREAD_PACKETS:
            self.cut(eio_sid, "limit.unread")
            raise TooMany("this client reads nothing")
        verdict = self._pace.message(eio_sid)
        if verdict == "flood":
            _log.warning("a client of %s floods: disconnected", self.caller(eio_sid).address)
            self._counters.add("limit.messages")
            self.cut(eio_sid, "limit.flood")
            self._too_fast()
        self._check_form(data, ours, head)
        if verdict == "ok":
            return
        self._counters.add("limit.messages")
        self._server.sleep(0)  # others have their turn first
        if ours and head is not None:
            _check_request(data[head.end() :])
        self._too_fast()

    def _too_fast(self) -> NoReturn:
        raise TooMany(
            f"a client may send {self._settings.messages_rate} messages a second: slow down"
        )

    def _check_form(self, data: Any, ours: bool, head: re.Match[str] | None) -> None:
        if isinstance(data, str | bytes) and len(data) > self._settings.max_message:
            self._counters.add("limit.size")
            raise BadRequest(f"a message may have {self._settings.max_message} bytes")
        if isinstance(data, str) and is_too_deep(data, self._settings.max_depth):
            self._counters.add("limit.depth")
            raise BadRequest(f"a message may be nested {self._settings.max_depth} levels deep")
        if ours and head is not None and (head[1] in "56" or head[2]):
            self._counters.add("malformed.binary")
            raise BadRequest("nothing binary is expected here")

    def _refuse(self, eio_sid: str, head: re.Match[str] | None, error: Refused) -> None:
        """Answer what can be answered: an event of our namespace that asks for an ack."""
        namespace = self._settings.namespace
        if head is None or head[1] not in _EVENTS or head[3] != namespace or head[4] is None:
            return
        if self._server.manager.sid_from_eio_sid(eio_sid, namespace) is None:
            return
        packet = Packet(ACK, namespace=namespace, id=int(head[4]), data=[refusal(error)])
        self._server._send_packet(eio_sid, packet)

    def _count(self, client: _Client) -> None:
        address, limit = client.caller.address, self._settings.max_clients_address
        if limit is None and is_this_machine(address):
            return
        key = counted_as(address)
        limit = CLIENTS_ADDRESS if limit is None else limit
        with self._counting:
            if self._by_address.get(key, 0) >= limit:
                self._counters.add("limit.address")
                raise TooMany(f"one address may have {limit} connections: close some first")
            self._by_address[key] = self._by_address.get(key, 0) + 1
            client.counted = key

    def _is_busy(self, eio_sid: str) -> bool:
        """Whether a client is in a namespace of the application's own."""
        manager = self._server.manager
        return any(
            namespace != self._settings.namespace
            and manager.sid_from_eio_sid(eio_sid, namespace) is not None
            for namespace in list(manager.get_namespaces())
        )

    def _warn_of_proxy(self, environ: dict[str, Any]) -> None:
        if self._warned or self._settings.trusted_proxies or "HTTP_X_FORWARDED_FOR" not in environ:
            return
        self._warned = True
        _log.warning(
            "a request came with X-Forwarded-For, but BRIDGE_TRUSTED_PROXIES is 0, so all clients "
            "behind a proxy count as one address: set it to the number of proxies before this node"
        )
