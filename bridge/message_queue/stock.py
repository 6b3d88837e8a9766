"""The base channel on a web node: python-socketio's own manager, reached and reconnected our way.

A server that the bridge makes speaks stock JSON on the base channel, so that any external
``SocketIO(message_queue=, channel=)`` process emits through it. Of the stock manager the
connecting is replaced: every URL of the settings works, and it is back within about a second. What
is malformed is dropped and counted before the stock code sees it, which would log a traceback.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from redis.exceptions import RedisError
from socketio import RedisManager

from bridge.journal import connect
from bridge.message_queue.roster import Roster

_FIRST_PAUSE: Final = 0.05
_LAST_PAUSE: Final = 1.0
#: Of its own, so that a program that seeds `random` is not disturbed.
_jitter: Final = random.Random()

_NOTHING: Final = type(None)
_METHODS: Final = frozenset(
    {"emit", "callback", "disconnect", "enter_room", "leave_room", "close_room"}
)
#: What the fields of a stock message may be; a room is any name that JSON can hold.
_FIELDS: Final[Mapping[str, tuple[type, ...]]] = {
    "namespace": (str, _NOTHING),
    "room": (str, int, list, _NOTHING),
    "skip_sid": (str, list, _NOTHING),
    "sid": (str, _NOTHING),
    "host_id": (str, _NOTHING),
    "callback": (list, _NOTHING),
}


class StockManager(Roster, RedisManager):  # type: ignore[misc]  # python-socketio has no types
    """A client manager that works with stock ones on the same channel.

    Args:
        url: any message queue URL that the settings allow.
        channel: the base channel.
    """

    def __init__(self, url: str, channel: str) -> None:
        super().__init__(url, channel=channel)
        #: Called for each malformed message; counts it.
        self.on_malformed: Callable[[], object] = lambda: None

    def _redis_connect(self) -> None:
        """Connect what publishes; the listening connection is the listener's own."""
        self.redis = connect(self.redis_url)
        self.connected = True

    def _redis_listen_with_retries(self) -> Iterator[dict[str, Any]]:
        pause, told = _FIRST_PAUSE, False
        while True:
            client: Any = connect(self.redis_url, subscriber=True)
            self.pubsub = client.pubsub()
            try:
                self.pubsub.subscribe(self.channel)
                for message in self.pubsub.listen():
                    pause, told = _FIRST_PAUSE, False
                    if message["type"] != "message":
                        yield message
                    elif (parsed := parse(message["data"])) is not None:
                        yield {**message, "data": parsed}
                    else:
                        self.on_malformed()
            except (RedisError, OSError) as error:
                level = logging.DEBUG if told else logging.WARNING
                self._get_logger().log(
                    level, "The base channel is lost, connecting anew: %s", error
                )
                told = True
            finally:
                self.pubsub.close()
            time.sleep(pause * _jitter.uniform(0.5, 1.0))
            pause = min(pause * 2, _LAST_PAUSE)


def parse(data: bytes) -> dict[str, Any] | None:
    """Return a message of the base channel, None if no stock process would send it."""
    try:
        message: Any = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return None
    if message["method"] not in _METHODS:
        return None
    if not all(isinstance(message.get(name), kinds) for name, kinds in _FIELDS.items()):
        return None
    if message["method"] == "emit" and not _is_emit(message):
        return None
    return message


def _is_emit(message: dict[str, Any]) -> bool:
    data, rooms = message.get("data"), message.get("room")
    if not isinstance(message.get("event"), str) or "data" not in message:
        return False
    if isinstance(rooms, list) and not all(isinstance(room, str | int) for room in rooms):
        return False
    return not message.get("binary") or (isinstance(data, list) and len(data) > 0)
