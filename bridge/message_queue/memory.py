"""The message queue of one process: for tasks that run beside the node, and for tests.

Rooms go over a hub of our own, because a listener must be woken by a socket and Kombu's memory
transport has none. The base channel is that transport's, so that others in this process who use
``SocketIO(message_queue="memory://", channel=)`` emit through our node, and we through theirs.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from kombu import Connection, Exchange, Producer
from socketio import KombuManager

from bridge.message_queue.roster import Roster
from bridge.message_queue.stock import parse
from bridge.message_queue.subscriber import Ticket

#: Beyond so many messages that a node did not take yet, the oldest are dropped.
QUEUE_MESSAGES: Final = 10_000
_POLLING_SECONDS: Final = 0.05


class _Hub:
    """Who listens in this process, by channel."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._links: dict[str, dict[MemoryLink, None]] = {}

    def publish(self, channel: str, body: bytes) -> int:
        """Send to whoever listens; returns to how many."""
        with self._lock:
            links = list(self._links.get(channel, ()))
            for link in links:
                link.put(channel, body)
        return len(links)

    def listeners(self, channel: str) -> int:
        """How many listen."""
        return len(self._links.get(channel, ()))

    def enter(self, channel: str, link: MemoryLink) -> None:
        """Listen."""
        with self._lock:
            self._links.setdefault(channel, {})[link] = None

    def leave(self, channel: str, link: MemoryLink) -> None:
        """Listen no longer."""
        with self._lock:
            links = self._links.get(channel, {})
            links.pop(link, None)
            if not links:
                self._links.pop(channel, None)


_hub: Final = _Hub()


class MemoryCarrier:
    """See `bridge.journal.Carrier`."""

    dropped = 0

    def carry(self, channels: Sequence[str], frame: bytes, *, keep: bool) -> None:
        """See `Carrier.carry`."""
        for channel in channels:
            _hub.publish(channel, frame)

    def listened_to(self, channels: Sequence[str]) -> bool:
        """See `Carrier.listened_to`."""
        return any(_hub.listeners(channel) for channel in channels)

    def close(self) -> None:
        """See `Carrier.close`."""


class MemoryPost:
    """See `bridge.message_queue.choice.Post`.

    Args:
        url: ``memory://``.
        channel: the base channel.
    """

    def __init__(self, url: str, channel: str) -> None:
        self._base = channel
        self._connection = Connection(url)
        self._lock = threading.Lock()

    def send(self, channel: str, body: str) -> None:
        """See `Post.send`."""
        if channel != self._base:
            _hub.publish(channel, body.encode("utf-8", "surrogatepass"))
            return
        exchange = Exchange(channel, type="fanout", durable=False)
        with self._lock, Producer(self._connection, exchange) as producer:
            producer.publish(body)

    def settle(self, seconds: float) -> bool:
        """See `Post.settle`: nothing is ever under way."""
        return True

    def close(self) -> None:
        """See `Post.close`."""
        self._connection.release()


class MemoryLine:
    """See `bridge.message_queue.subscriber.Line`."""

    errors: tuple[type[Exception], ...] = (OSError,)

    def open(self) -> MemoryLink:
        """See `Line.open`."""
        return MemoryLink()

    def echo(self, channel: str) -> None:
        """See `Line.echo`."""
        _hub.publish(channel, b"")

    def close(self) -> None:
        """See `Line.close`."""


class MemoryLink:
    """See `bridge.message_queue.subscriber.Link`."""

    def __init__(self) -> None:
        self.socket, self._poke = socket.socketpair()
        self.socket.setblocking(False)
        self._poke.setblocking(False)
        self._channels: set[str] = set()
        self._heard: deque[tuple[str, bytes]] = deque(maxlen=QUEUE_MESSAGES)

    def put(self, channel: str, body: bytes) -> None:
        """Take a message, and wake the one who listens."""
        self._heard.append((channel, body))
        # Full: it wakes up anyway. Closed: there is nobody to wake up.
        with contextlib.suppress(OSError):
            self._poke.send(b"\0")

    def subscribe(self, channel: str, ticket: Ticket | None = None) -> None:
        """See `bridge.message_queue.subscriber.Link`."""
        self._channels.add(channel)
        _hub.enter(channel, self)
        if ticket is not None:
            ticket.confirm()

    def unsubscribe(self, channel: str) -> None:
        """See `bridge.message_queue.subscriber.Link`."""
        self._channels.discard(channel)
        _hub.leave(channel, self)

    def flush(self) -> None:
        """See `bridge.message_queue.subscriber.Link`: every command is obeyed at once."""

    def receive(self) -> Iterator[tuple[str, bytes]]:
        """See `bridge.message_queue.subscriber.Link`."""
        with contextlib.suppress(BlockingIOError):
            while self.socket.recv(4096):
                pass
        while self._heard:
            yield self._heard.popleft()

    def pending(self) -> bool:
        """See `bridge.message_queue.subscriber.Link`."""
        return bool(self._heard)

    def settled(self) -> bool:
        """See `bridge.message_queue.subscriber.Link`."""
        return True

    def unconfirmed(self) -> Iterator[tuple[str, Ticket]]:
        """See `bridge.message_queue.subscriber.Link`."""
        return iter(())

    def close(self) -> None:
        """See `bridge.message_queue.subscriber.Link`."""
        for channel in tuple(self._channels):
            self.unsubscribe(channel)
        self.socket.close()
        self._poke.close()


class MemoryManager(Roster, KombuManager):  # type: ignore[misc]  # python-socketio has no types
    """The base channel of a web node in this process, with stock Kombu managers beside.

    Args:
        url: ``memory://``.
        channel: the base channel.
    """

    name = "celery-bridge-memory"

    def __init__(self, url: str, channel: str) -> None:
        options = {"transport_options": {"polling_interval": _POLLING_SECONDS}}
        super().__init__(url, channel=channel, connection_options=options)
        #: Called for each malformed message; counts it.
        self.on_malformed: Callable[[], object] = lambda: None

    def _listen(self) -> Iterator[dict[str, Any]]:
        for data in super()._listen():
            text = json.dumps(data) if isinstance(data, dict) else data
            message = parse(text.encode() if isinstance(text, str) else bytes(text))
            if message is not None:
                yield message
            else:
                self.on_malformed()
