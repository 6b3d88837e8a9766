"""What the subscriber listens by where RabbitMQ is the message queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from bridge.message_queue.rabbitmq.link import ERRORS, Link, body_of, destinations
from bridge.message_queue.rabbitmq.publisher import Publisher, rooms_exchange
from bridge.message_queue.subscriber import Ticket
from bridge.rooms import routing_key

#: So many messages are taken before others have their turn.
_MESSAGES_A_READ: Final = 500
#: Once something came, so long is waited for more of it.
_MORE_SECONDS: Final = 0.002


class RabbitLine:
    """See `bridge.message_queue.subscriber.Line`.

    Args:
        url: the broker.
        channel: the base channel.
        publisher: what this node publishes by.
    """

    errors: tuple[type[Exception], ...] = ERRORS

    def __init__(self, url: str, channel: str, publisher: Publisher) -> None:
        self._url = url
        self._channel = channel
        self._publisher = publisher

    def open(self) -> RabbitLink:
        """See `Line.open`."""
        return RabbitLink(self._url, self._channel)

    def echo(self, channel: str) -> None:
        """See `Line.echo`."""
        self._publisher.send(channel, b"")

    def close(self) -> None:
        """See `Line.close`."""
        self._publisher.close()


class RabbitLink(Link):
    """A connection that hears rooms. See `bridge.message_queue.subscriber.Link`."""

    def __init__(self, url: str, channel: str) -> None:
        super().__init__(url)
        self._bound: dict[str, str] = {}
        self._outgoing: list[tuple[bool, str, Ticket | None]] = []
        self._heard: deque[tuple[str, bytes]] = deque()
        try:
            self._exchange = rooms_exchange(channel)
            self._nobody = f"{channel}/nobody"
            self._queue = self.listen(self._exchange, self._hear, self._nobody)
        except BaseException:
            self.close()
            raise

    def subscribe(self, channel: str, ticket: Ticket | None = None) -> None:
        """See `bridge.message_queue.subscriber.Link`."""
        self._outgoing.append((True, channel, ticket))

    def unsubscribe(self, channel: str) -> None:
        """See `bridge.message_queue.subscriber.Link`."""
        self._outgoing.append((False, channel, None))

    def flush(self) -> None:
        """See `bridge.message_queue.subscriber.Link`."""
        tickets: list[Ticket] = []
        unanswered = False
        for bind, channel, ticket in self._outgoing:
            key = routing_key(channel)
            if bind and key not in self._bound:
                self._bound[key] = channel
                unanswered = True
                self._queue.bind_to(self._exchange, routing_key=key, nowait=True)
            elif not bind and self._bound.pop(key, None) is not None:
                self._queue.unbind_from(self._exchange, routing_key=key)
            if ticket is not None:
                tickets.append(ticket)
        if unanswered:
            # The broker works in order: where a repeat is answered, all before it is done.
            self._queue.bind_to(self._exchange, routing_key=self._nobody)
        for ticket in tickets:
            ticket.confirm()
        self._outgoing.clear()
        self.keep_alive()

    def receive(self, seconds: float = 1.0) -> Iterator[tuple[str, bytes]]:
        """See `bridge.message_queue.subscriber.Link`."""
        while len(self._heard) < _MESSAGES_A_READ and self.take(seconds):
            seconds = _MORE_SECONDS
        while self._heard:
            yield self._heard.popleft()

    def pending(self) -> bool:
        """See `bridge.message_queue.subscriber.Link`."""
        return bool(self._heard) or super().pending()

    def settled(self) -> bool:
        """See `bridge.message_queue.subscriber.Link`."""
        return not self._outgoing

    def unconfirmed(self) -> Iterator[tuple[str, Ticket]]:
        """See `bridge.message_queue.subscriber.Link`."""
        for _, channel, ticket in self._outgoing:
            if ticket is not None:
                yield channel, ticket

    def _hear(self, message: Any) -> None:
        """Take a message to each of our channels that it was sent to."""
        for key in destinations(message):
            channel = self._bound.get(key)
            if channel is not None:
                self._heard.append((channel, body_of(message)))
