"""What the subscriber listens by where Redis or Valkey is the message queue."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import hiredis
from redis import Redis
from redis.exceptions import RedisError

from bridge.errors import QueueUnavailable
from bridge.journal import connect
from bridge.message_queue.subscriber import Ticket

_CHANNELS_A_COMMAND: Final = 500
_READ_BYTES: Final = 262_144


class RedisLine:
    """See `bridge.message_queue.subscriber.Line`.

    redis-py's own `PubSub` is not used: it can only be woken by polling, and it reconnects in
    silence, where a node must know that it missed messages.

    Args:
        url: the server that publishes the rooms' messages.
    """

    errors: tuple[type[Exception], ...] = (RedisError, hiredis.HiredisError, OSError)

    def __init__(self, url: str) -> None:
        self._client = connect(url)

    def open(self) -> RedisLink:
        """See `Line.open`."""
        return RedisLink(self._client)

    def echo(self, channel: str) -> None:
        """See `Line.echo`."""
        try:
            self._client.publish(channel, b"")
        except (RedisError, OSError) as error:
            raise QueueUnavailable(str(error)) from error

    def close(self) -> None:
        """See `Line.close`."""
        self._client.close()


class RedisLink:
    """See `bridge.message_queue.subscriber.Link`."""

    def __init__(self, client: Redis) -> None:
        pool: Any = client.connection_pool
        # Not by the pool, which counts what it makes and refuses the hundredth.
        self._connection = pool.connection_class(**pool.connection_kwargs)
        self._connection.connect()
        # redis-py opens, secures and authenticates it; from here on only this class reads it.
        self.socket = self._connection._sock
        self._reader = hiredis.Reader()
        self._subscribed: set[str] = set()
        self._waiting: dict[str, deque[list[Ticket]]] = {}
        self._outgoing: list[tuple[str, str]] = []

    def subscribe(self, channel: str, ticket: Ticket | None = None) -> None:
        """Subscribe unless that was done, and confirm the ticket when the server has."""
        tickets = [] if ticket is None else [ticket]
        if channel not in self._subscribed:
            self._subscribed.add(channel)
            self._waiting.setdefault(channel, deque()).append(tickets)
            self._outgoing.append(("SUBSCRIBE", channel))
        elif channel in self._waiting:
            self._waiting[channel][-1].extend(tickets)
        elif ticket is not None:
            ticket.confirm()

    def unsubscribe(self, channel: str) -> None:
        """Unsubscribe if subscribed."""
        if channel in self._subscribed:
            self._subscribed.discard(channel)
            self._outgoing.append(("UNSUBSCRIBE", channel))

    def flush(self) -> None:
        """Send the commands given since the last time, in order."""
        outgoing, self._outgoing = self._outgoing, []
        for verb, run in itertools.groupby(outgoing, key=lambda command: command[0]):
            channels = [channel for _, channel in run]
            for start in range(0, len(channels), _CHANNELS_A_COMMAND):
                self._send(verb, *channels[start : start + _CHANNELS_A_COMMAND])

    def receive(self) -> Iterator[tuple[str, bytes]]:
        """Read what is there; confirm what is confirmed and yield the messages."""
        data = self.socket.recv(_READ_BYTES)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if isinstance(reply, Exception):
                raise ConnectionError(f"the server refuses: {reply}")
            kind, name, value = reply[0], reply[1], reply[-1]
            if kind == b"message":
                yield name.decode("utf-8", "replace"), value
            elif kind == b"subscribe":
                self._confirm(name.decode())

    def pending(self) -> bool:
        """Whether bytes wait that a select on the socket would not tell of (TLS)."""
        return bool(getattr(self.socket, "pending", bool)())

    def settled(self) -> bool:
        """Whether all subscriptions are confirmed."""
        return not self._waiting

    def unconfirmed(self) -> Iterator[tuple[str, Ticket]]:
        """Tell which tickets this link leaves behind."""
        for channel, queued in self._waiting.items():
            for tickets in queued:
                yield from ((channel, ticket) for ticket in tickets)

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()

    def _confirm(self, channel: str) -> None:
        queued = self._waiting[channel]
        for ticket in queued.popleft():
            ticket.confirm()
        if not queued:
            del self._waiting[channel]

    def _send(self, *command: str) -> None:
        for part in self._connection.pack_command(*command):
            self.socket.sendall(part)
