"""The base channel on a web node: python-socketio's own manager, reached and reconnected our way.

A server that the bridge makes speaks stock JSON on the base channel, so that any external
``SocketIO(message_queue=, channel=)`` process emits through it. Of the stock manager only the
connecting is replaced: every URL of the settings works, and it is back within about a second.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any, Final

from redis.exceptions import RedisError
from socketio import RedisManager

from bridge.journal import connect

_FIRST_PAUSE: Final = 0.05
_LAST_PAUSE: Final = 1.0
#: Of its own, so that a program that seeds `random` is not disturbed.
_jitter: Final = random.Random()


class StockManager(RedisManager):  # type: ignore[misc]  # python-socketio has no types
    """A client manager that works with stock ones on the same channel.

    Args:
        url: any message queue URL that the settings allow.
        channel: the base channel.
    """

    def __init__(self, url: str, channel: str) -> None:
        super().__init__(url, channel=channel)

    def _redis_connect(self) -> None:
        """Connect what publishes; the listening connection is the listener's own."""
        self.redis = connect(self.redis_url)
        self.connected = True

    def _redis_listen_with_retries(self) -> Iterator[dict[str, Any]]:
        pause = _FIRST_PAUSE
        while True:
            client: Any = connect(self.redis_url, subscriber=True)
            self.pubsub = client.pubsub()
            try:
                self.pubsub.subscribe(self.channel)
                for message in self.pubsub.listen():
                    pause = _FIRST_PAUSE
                    yield message
            except (RedisError, OSError) as error:
                self._get_logger().warning("The base channel is lost, connecting anew: %s", error)
            finally:
                self.pubsub.close()
            time.sleep(pause * _jitter.uniform(0.5, 1.0))
            pause = min(pause * 2, _LAST_PAUSE)
