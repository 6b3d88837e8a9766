"""Redis as the message queue of a journal that is elsewhere: it only carries."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from redis.exceptions import RedisError

from bridge.journal import connect

#: After a failure nothing is tried for so long; what is lost meanwhile is in the journal.
PAUSE_SECONDS: Final = 1.0
#: Of so many rooms that nobody listens to it is remembered.
UNHEARD_KEPT: Final = 10_000

_log = logging.getLogger(__name__)


class RedisCarrier:
    """See `bridge.journal.Carrier`.

    Args:
        url: the server.

    Attributes:
        dropped: how many messages of jobs were not carried; they are in the journal.
    """

    def __init__(self, url: str) -> None:
        self._client = connect(url)
        self._unheard: OrderedDict[str, None] = OrderedDict()
        self._again_at = 0.0
        self.dropped = 0

    def carry(self, channels: Sequence[str], frame: bytes, *, keep: bool) -> None:
        """See `Carrier.carry`."""
        # An end is tried at once, also while other messages wait for better times.
        if not keep and time.monotonic() < self._again_at:
            self.dropped += 1
            return
        try:
            pipeline = self._client.pipeline(transaction=False)
            for channel in channels:
                pipeline.publish(channel, frame)
            self._note(channels[0], sum(pipeline.execute()))
        except (RedisError, OSError) as error:
            self.dropped += 1
            if not self._again_at:
                _log.warning("Redis can't be reached: %s; the journal goes on without it", error)
            self._again_at = time.monotonic() + PAUSE_SECONDS
            return
        if self._again_at:
            self._again_at = 0.0
            _log.warning("Redis is back")

    def listened_to(self, channels: Sequence[str]) -> bool:
        """See `Carrier.listened_to`."""
        return channels[0] not in self._unheard

    def close(self) -> None:
        """See `Carrier.close`."""
        self._client.close()

    def _note(self, channel: str, receivers: int) -> None:
        self._unheard.pop(channel, None)
        if receivers:
            return
        self._unheard[channel] = None
        if len(self._unheard) > UNHEARD_KEPT:
            self._unheard.popitem(last=False)
