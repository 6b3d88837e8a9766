"""The relay's one subscriber: it hears the channels of the rooms that this node has members in.

One thread (a green one where the process is patched) owns the subscribing connection: it alone
writes commands to it and reads from it. Others put their commands into a queue and wake it through
a pair of sockets, on which it selects together with the connection, so that a command goes out at
once and an idle node wakes up once a second. What it speaks, a `Line` knows: Redis or RabbitMQ.

It hears itself, too: a second thread publishes on this node's echo channel by another connection.
Where the echo is published but not heard, the subscribing connection is dead and is made anew.
"""

from __future__ import annotations

import contextlib
import logging
import random
import selectors
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from bridge.errors import QueueUnavailable
from bridge.rooms import echo_channel, relay_channel

ECHO_SECONDS: Final = 1.0
#: Messages that come closer than this to what was read before them wait so long for others.
GATHER_SECONDS: Final = 0.005
#: So many echoes in a row that were published but not heard mean that the connection is dead.
DEAF_ECHOES: Final = 3
_FIRST_PAUSE: Final = 0.05
_LAST_PAUSE: Final = 1.0
#: Of its own, so that a program that seeds `random` is not disturbed.
_jitter: Final = random.Random()

_log = logging.getLogger(__name__)


class Ticket:
    """The confirmation of a subscription, to wait for."""

    def __init__(self) -> None:
        self._done = threading.Event()

    def wait(self, seconds: float) -> bool:
        """Return whether the subscription was confirmed within that time."""
        return self._done.wait(seconds)

    def confirm(self) -> None:
        """Let those who wait go on."""
        self._done.set()


class Link(Protocol):
    """One subscribing connection, spoken to by its owner alone.

    Attributes:
        socket: what becomes readable when `receive` has something to read.
    """

    socket: Any

    def subscribe(self, channel: str, ticket: Ticket | None = None) -> None:
        """Subscribe unless that was done, and confirm the ticket when the server has."""

    def unsubscribe(self, channel: str) -> None:
        """Unsubscribe if subscribed."""

    def flush(self) -> None:
        """Send the commands given since the last time, in order; called once a second at least."""

    def receive(self) -> Iterable[tuple[str, bytes]]:
        """Read what is there; confirm what is confirmed and give the messages."""

    def pending(self) -> bool:
        """Whether something waits that a select on the socket would not tell of."""

    def settled(self) -> bool:
        """Whether all subscriptions are confirmed."""

    def unconfirmed(self) -> Iterable[tuple[str, Ticket]]:
        """Tell which tickets this link leaves behind."""

    def close(self) -> None:
        """Close the connection."""


class Line(Protocol):
    """Opens links to the message queue, and speaks into it for the node to hear itself."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What a link's methods raise when the connection fails."""

    def open(self) -> Link:
        """Connect; raises one of `errors`."""

    def echo(self, channel: str) -> None:
        """Publish something on a channel, not by a link; raises `QueueUnavailable`."""

    def close(self) -> None:
        """Close what `echo` uses."""


class Subscriber:
    """Listens on channels that come and go.

    The callbacks run in the thread that reads, so they must neither wait nor raise.

    Args:
        line: opens connections to the message queue.
        channel: the base channel.
        on_message: gets each (channel, message) of the rooms and of the relay channel.
        on_lost: called when the connection is lost: messages may be missed from now on.
        on_recovered: called when all channels are subscribed again after a loss.
    """

    def __init__(
        self,
        line: Line,
        channel: str,
        *,
        on_message: Callable[[str, bytes], None],
        on_lost: Callable[[], None],
        on_recovered: Callable[[], None],
    ) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._on_recovered = on_recovered
        self._line = line
        self._echo_channel = echo_channel(channel, uuid.uuid4().hex)
        self._wanted = dict.fromkeys((relay_channel(channel), self._echo_channel))
        self._commands: deque[tuple[str, str, Ticket]] = deque()
        self._orphans: list[tuple[str, Ticket]] = []
        self._lost = False
        self._stopped = threading.Event()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._threads: list[threading.Thread] = []
        self._unheard = 0
        self._heard_at = 0.0
        self._read_at = 0.0

    @property
    def heard_seconds(self) -> float | None:
        """How long ago this node heard itself through the queue, in seconds; None: never."""
        return time.monotonic() - self._heard_at if self._heard_at else None

    def start(self) -> None:
        """Start to connect, listen and echo; returns at once."""
        for target in (self._listen, self._echo):
            thread = threading.Thread(target=target, name=f"bridge{target.__name__}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, seconds: float = 2.0) -> None:
        """Stop listening and close the connections; waits at most that long for each thread."""
        self._stopped.set()
        self._wake()
        for thread in self._threads:
            thread.join(seconds)
        self._line.close()

    def subscribe(self, channel: str) -> Ticket:
        """Listen on a channel; the ticket tells when the server has confirmed it."""
        return self._command("SUBSCRIBE", channel)

    def unsubscribe(self, channel: str) -> None:
        """Listen on a channel no longer."""
        self._command("UNSUBSCRIBE", channel)

    def _command(self, verb: str, channel: str) -> Ticket:
        ticket = Ticket()
        self._commands.append((verb, channel, ticket))
        self._wake()
        return ticket

    def _wake(self) -> None:
        # Full: the reader wakes up anyway. Closed: there is nobody to wake up.
        with contextlib.suppress(BlockingIOError, OSError):
            self._wake_writer.send(b"\0")

    def _listen(self) -> None:
        pause, told = _FIRST_PAUSE, False
        while not self._stopped.is_set():
            link = None
            try:
                link = self._line.open()
                self._resume(link)
                pause, told = _FIRST_PAUSE, False
                self._converse(link)
            except self._line.errors as error:
                level = logging.DEBUG if told else logging.WARNING
                _log.log(level, "no connection to the message queue, trying anew: %s", error)
                told = True
            except Exception:  # noqa: BLE001 - a node that listens no longer is worse
                _log.exception("listening failed, trying anew")
            if link is not None:
                self._leave(link)
            self._stopped.wait(pause * _jitter.uniform(0.5, 1.0))
            pause = min(pause * 2, _LAST_PAUSE)
        self._wake_reader.close()
        self._wake_writer.close()

    def _resume(self, link: Link) -> None:
        """Subscribe to what was wanted before, and answer for the tickets of a lost link."""
        orphans, self._orphans = self._orphans, []
        for channel in self._wanted:
            link.subscribe(channel)
        for channel, ticket in orphans:
            if channel in self._wanted:
                link.subscribe(channel, ticket)
        self._unheard = 0

    def _leave(self, link: Link) -> None:
        link.close()
        self._orphans.extend(link.unconfirmed())
        if not self._stopped.is_set():
            self._lost = True
            self._on_lost()

    def _converse(self, link: Link) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(link.socket, selectors.EVENT_READ)
            selector.register(self._wake_reader, selectors.EVENT_READ)
            while not self._stopped.is_set():
                self._obey(link)
                seconds = 0 if link.pending() else ECHO_SECONDS
                ready = [key.fileobj for key, _ in selector.select(seconds)]
                if self._wake_reader in ready:
                    self._drain_wakes()
                if link.socket in ready or link.pending():
                    self._gather()
                    for channel, message in link.receive():
                        self._hear(channel, message)
                if self._lost and link.settled():
                    self._lost = False
                    _log.info("the message queue is back")
                    self._on_recovered()
                if self._unheard > DEAF_ECHOES:
                    raise OSError("this node does not hear itself")

    def _gather(self) -> None:
        """Where much comes, let some more come: to wake up for each message costs the most."""
        now = time.monotonic()
        if now - self._read_at < GATHER_SECONDS:
            time.sleep(GATHER_SECONDS)
        self._read_at = time.monotonic()

    def _obey(self, link: Link) -> None:
        while self._commands:
            verb, channel, ticket = self._commands.popleft()
            if verb == "SUBSCRIBE":
                self._wanted[channel] = None
                link.subscribe(channel, ticket)
            else:
                self._wanted.pop(channel, None)
                link.unsubscribe(channel)
        link.flush()

    def _drain_wakes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake_reader.recv(4096):
                pass

    def _hear(self, channel: str, message: bytes) -> None:
        if channel == self._echo_channel:
            self._heard_at = time.monotonic()
            self._unheard = 0
            return
        try:
            self._on_message(channel, message)
        except Exception:  # noqa: BLE001 - whatever it was, the next message must be heard
            _log.exception("a message on %s could not be handled", channel)

    def _echo(self) -> None:
        while not self._stopped.is_set():
            try:
                self._line.echo(self._echo_channel)
                self._unheard += 1
            except QueueUnavailable as error:
                _log.debug("the echo could not be published: %s", error)
            self._stopped.wait(ECHO_SECONDS if self._heard_at else _FIRST_PAUSE)
