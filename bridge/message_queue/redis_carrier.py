"""Redis as the message queue of a journal that is elsewhere: it only carries."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from redis.exceptions import RedisError

from bridge.journal import connect
from bridge.message_queue.unheard import Unheard

#: After a failure nothing is tried for so long; what is lost meanwhile is in the journal.
PAUSE_SECONDS: Final = 1.0

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
        self._unheard = Unheard()
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
            self._unheard.note(channels[0], heard=sum(pipeline.execute()) > 0)
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
