"""What a process sends over RabbitMQ: one thread, one connection, everything confirmed.

Nobody waits for it but who asks to. What a job says is in the journal already, so while the broker
is away only what ends a run is kept for it, and the sweep brings the rest to the clients. Whether
anybody listens is told by the broker, too: a message that no queue is bound for comes back.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kombu import Exchange, Producer

from bridge.errors import QueueUnavailable
from bridge.message_queue.rabbitmq.link import ERRORS, HEARTBEAT_SECONDS, REPLY_SECONDS, Link
from bridge.message_queue.unheard import Unheard
from bridge.rooms import routing_key

#: What waits at most, in bytes; beyond it the oldest is dropped.
WAITING_BYTES: Final = 16_777_216
_BATCH: Final = 200
_TICK_SECONDS: Final = HEARTBEAT_SECONDS / 5
_FIRST_PAUSE: Final = 0.05
_LAST_PAUSE: Final = 1.0
_TRANSIENT: Final = 1
_jitter: Final = random.Random()

_log = logging.getLogger(__name__)


def rooms_exchange(channel: str) -> Exchange:
    """The exchange of the rooms, of a base channel's bridge."""
    return Exchange(f"{channel}/rooms", type="direct", durable=False, delivery_mode=_TRANSIENT)


def base_exchange(channel: str) -> Exchange:
    """The exchange of the base channel, as python-socketio's own Kombu manager declares it."""
    return Exchange(channel, type="fanout", durable=False, delivery_mode=_TRANSIENT)


@dataclass(eq=False, slots=True)
class _Parcel:
    """A message, for one channel or for several.

    Attributes:
        channels: where it goes; keep: whether it is sent after an outage, too.
        done: set when the broker has answered, or it was given up; error: why it was.
    """

    channels: Sequence[str]
    body: str | bytes
    keep: bool
    done: threading.Event | None = None
    error: str = ""
    withdrawn: bool = False
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = len(self.body) + 200

    def end(self, error: str = "") -> None:
        self.error = error
        if self.done is not None:
            self.done.set()


class Publisher:
    """Sends to rooms and to the base channel. See `bridge.journal.Carrier`.

    It connects with the first message, so that it may be made before a fork.

    Args:
        url: the broker.
        channel: the base channel.

    Attributes:
        dropped: how many messages of jobs were not carried; they are in the journal.
    """

    def __init__(self, url: str, channel: str) -> None:
        self._url = url
        self._channel = channel
        self._waiting: deque[_Parcel] = deque()
        self._bytes = 0
        self._under_way = 0
        self._changed = threading.Condition()
        self._unheard = Unheard()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._down = ""
        self._told_dropped = 0
        self.dropped = 0

    def carry(self, channels: Sequence[str], frame: str | bytes, *, keep: bool) -> None:
        """See `bridge.journal.Carrier`."""
        self._put(_Parcel(channels, frame, keep))

    def listened_to(self, channels: Sequence[str]) -> bool:
        """See `bridge.journal.Carrier`."""
        return routing_key(channels[0]) not in self._unheard

    def send(self, channel: str, body: str | bytes, seconds: float = REPLY_SECONDS) -> None:
        """Send one message and wait until the broker has it.

        Raises:
            QueueUnavailable: it isn't known to have it.
        """
        done = threading.Event()
        parcel = _Parcel((channel,), body, True, done, error=self._down)
        if not self._down:
            self._put(parcel)
            if not done.wait(seconds):
                parcel.withdrawn = True
                parcel.error = f"no confirmation within {seconds:g} s"
        if parcel.error:
            raise QueueUnavailable(f"the message queue can't be reached: {parcel.error}")

    def settle(self, seconds: float) -> bool:
        """Wait until all is confirmed, but not for a broker that is away; returns whether it is."""
        with self._changed:
            self._changed.wait_for(lambda: self._idle() or bool(self._down), seconds)
            return self._idle()

    def close(self) -> None:
        """Close the connection; the next message opens it anew."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._stopped.set()
            self._changed.notify_all()
        if thread is not None:
            thread.join(REPLY_SECONDS)

    def _idle(self) -> bool:
        return not self._waiting and not self._under_way

    def _put(self, parcel: _Parcel) -> None:
        with self._changed:
            if self._down and not parcel.keep:
                self.dropped += 1
            else:
                self._waiting.append(parcel)
                self._bytes += parcel.size
                self._bound()
            if self._thread is None:
                self._stopped = threading.Event()
                self._thread = threading.Thread(
                    target=self._work, args=(self._stopped,), name="bridge_carrier", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def _bound(self) -> None:
        while self._bytes > WAITING_BYTES and len(self._waiting) > 1:
            self._give_up(self._waiting.popleft(), "too much waits")

    def _give_up(self, parcel: _Parcel, error: str) -> None:
        self._bytes -= parcel.size
        self.dropped += parcel.done is None  # else whoever waits for it is told
        parcel.end(error)

    def _work(self, stopped: threading.Event) -> None:
        pause = _FIRST_PAUSE
        while not stopped.is_set():
            link = None
            try:
                link = _ConfirmingLink(self._url, self._channel)
                self._is_up()
                pause = _FIRST_PAUSE
                self._serve(link, stopped)
            except ERRORS as error:
                self._is_down(str(error) or type(error).__name__)
            except Exception:  # noqa: BLE001 - the thread must outlive whatever it met
                _log.exception("carrying failed, connecting anew")
                self._is_down("an error")
            if link is not None:
                link.close()
            stopped.wait(pause * _jitter.uniform(0.5, 1.0))
            pause = min(pause * 2, _LAST_PAUSE)

    def _serve(self, link: _ConfirmingLink, stopped: threading.Event) -> None:
        while not stopped.is_set():
            with self._changed:
                self._changed.wait_for(
                    lambda: bool(self._waiting) or stopped.is_set(), _TICK_SECONDS
                )
                batch = self._take()
            self._tell_dropped()
            link.tend()
            if batch:
                self._bring_away(link, batch, stopped)

    def _take(self) -> list[_Parcel]:
        batch: list[_Parcel] = []
        while self._waiting and len(batch) < _BATCH:
            parcel = self._waiting.popleft()
            if parcel.withdrawn:
                self._give_up(parcel, parcel.error)
            else:
                batch.append(parcel)
        self._under_way = len(batch)
        if not batch:
            self._changed.notify_all()
        return batch

    def _bring_away(
        self, link: _ConfirmingLink, batch: list[_Parcel], stopped: threading.Event
    ) -> None:
        try:
            for parcel in batch:
                link.publish(parcel.channels, parcel.body)
            while not link.confirmed(REPLY_SECONDS):
                if not link.blocked or stopped.is_set():
                    raise TimeoutError("the broker does not confirm what was sent")
                self._is_down("the broker is short of memory or disk")
            self._is_up()
        except BaseException:
            self._take_back(batch)
            raise
        with self._changed:
            for parcel in batch:
                room = routing_key(parcel.channels[0])
                self._unheard.note(room, heard=room not in link.returned)
                self._bytes -= parcel.size
                parcel.end()
            link.returned.clear()
            self._under_way = 0
            self._changed.notify_all()

    def _take_back(self, batch: list[_Parcel]) -> None:
        """Keep what must arrive; it may arrive twice, and who gets it knows that by its rev."""
        with self._changed:
            self._under_way = 0
            for parcel in reversed(batch):
                if parcel.keep and not parcel.withdrawn:
                    self._waiting.appendleft(parcel)
                else:
                    self._give_up(parcel, parcel.error or "the connection was lost")
            self._changed.notify_all()

    def _tell_dropped(self) -> None:
        """Log how much was not carried: the first time, and whenever it has doubled."""
        dropped = self.dropped
        if not dropped or dropped < 2 * self._told_dropped:
            return
        self._told_dropped = dropped
        _log.warning(
            "so far %d messages were not carried, while RabbitMQ was away or slow; watchers get "
            "them from the journal",
            dropped,
        )

    def _is_up(self) -> None:
        with self._changed:
            was, self._down = self._down, ""
        if was:
            _log.warning("RabbitMQ is back")

    def _is_down(self, reason: str) -> None:
        with self._changed:
            was, self._down = self._down, reason
            kept: deque[_Parcel] = deque()
            for parcel in self._waiting:
                if parcel.keep and parcel.done is None:
                    kept.append(parcel)
                else:
                    self._give_up(parcel, reason)
            self._waiting = kept
            self._changed.notify_all()
        if not was:
            _log.warning(
                "RabbitMQ can't be reached: %s; the journal and the sweep go on without it", reason
            )


class _ConfirmingLink(Link):
    """A link on which the broker answers to each message."""

    def __init__(self, url: str, channel: str) -> None:
        super().__init__(url)
        #: The routing keys of messages that nobody listened to.
        self.returned: set[str] = set()
        self._base = channel
        self._exchanges = base_exchange(channel), rooms_exchange(channel)
        self._open: set[int] = set()
        self._tag = 0
        try:
            for exchange in self._exchanges:
                self.declare(exchange)
            self.channel.confirm_select()
            events = self.channel.events
            events["basic_ack"].add(self._on_answer)
            events["basic_nack"].add(self._on_answer)
            on_return: Any = self._on_return
            self._producer: Any = Producer(self.channel, auto_declare=False, on_return=on_return)
        except BaseException:
            self.close()
            raise

    def publish(self, channels: Sequence[str], body: str | bytes) -> None:
        """Send a message once, to whoever listens to any of these channels."""
        base, rooms = self._exchanges
        first, *others = channels
        to_base = first == self._base
        self._tag += 1
        self._open.add(self._tag)
        self._producer.publish(
            body,
            exchange=(base if to_base else rooms).name,
            routing_key="" if to_base else routing_key(first),
            headers={"CC": [routing_key(each) for each in others]} if others else None,
            delivery_mode=_TRANSIENT,
            mandatory=not to_base,
        )

    def confirmed(self, seconds: float) -> bool:
        """Wait until all is answered; returns whether it is."""
        end = time.monotonic() + seconds
        while self._open:
            left = end - time.monotonic()
            if left <= 0:
                return False
            self.take(min(left, 0.5))
            self.keep_alive()
        return True

    def tend(self) -> None:
        """Take the broker's heartbeats, send ours."""
        while self.take(0.001):
            pass
        self.keep_alive()

    def _on_answer(self, tag: int, multiple: bool) -> None:
        self._open = {each for each in self._open if each > tag} if multiple else self._open - {tag}

    def _on_return(self, _error: Any, _exchange: str, key: str, _message: Any) -> None:
        self.returned.add(key)
