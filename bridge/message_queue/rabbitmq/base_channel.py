"""The base channel of a web node over RabbitMQ, with stock Kombu processes on the same exchange.

Of the stock manager differ: the queue, which is exclusive, deletes itself and is bounded (stock's
stay behind and pile up), the heartbeat, the time limits, and the way back after a loss.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from bridge.message_queue.rabbitmq.link import ERRORS, Link, body_of
from bridge.message_queue.rabbitmq.publisher import Publisher, base_exchange
from bridge.message_queue.roster import Roster
from bridge.message_queue.stock import parse

_FIRST_PAUSE: Final = 0.05
_LAST_PAUSE: Final = 1.0
_TICK_SECONDS: Final = 1.0
_jitter: Final = random.Random()

_log = logging.getLogger(__name__)


class RabbitManager(Roster):
    """A client manager that works with stock ones (``KombuManager``) on the same channel.

    Args:
        url: the broker.
        channel: the base channel.
    """

    name = "celery-bridge-rabbitmq"

    def __init__(self, url: str, channel: str) -> None:
        super().__init__(channel=channel)
        self._url = url
        self._publisher = Publisher(url, channel)
        #: Called for each malformed message; counts it.
        self.on_malformed: Callable[[], object] = lambda: None

    def _publish(self, data: dict[str, Any]) -> None:
        self._publisher.carry((self.channel,), json.dumps(data), keep=True)

    def _listen(self) -> Iterator[dict[str, Any]]:
        pause, told = _FIRST_PAUSE, False
        while True:
            link = None
            try:
                link = Link(self._url)
                heard: deque[bytes] = deque()
                _hear_into(heard, link, self.channel)
                pause, told = _FIRST_PAUSE, False
                while True:
                    link.take(_TICK_SECONDS)
                    link.keep_alive()
                    while heard:
                        message = parse(heard.popleft())
                        if message is not None:
                            yield message
                        else:
                            self.on_malformed()
            except ERRORS as error:
                level = logging.DEBUG if told else logging.WARNING
                _log.log(level, "The base channel is lost, connecting anew: %s", error)
                told = True
            finally:
                if link is not None:
                    link.close()
            time.sleep(pause * _jitter.uniform(0.5, 1.0))
            pause = min(pause * 2, _LAST_PAUSE)


def _hear_into(heard: deque[bytes], link: Link, channel: str) -> None:
    link.listen(base_exchange(channel), lambda message: heard.append(body_of(message)))
