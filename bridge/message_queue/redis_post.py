"""What a worker sends past the journal where Redis or Valkey is the message queue."""

from __future__ import annotations

from redis import Redis
from redis.exceptions import RedisError

from bridge.errors import QueueUnavailable
from bridge.journal import connect
from bridge.settings import Settings


class RedisPost:
    """See `bridge.message_queue.choice.Post`.

    Args:
        settings: the queue and the base channel.
        journal: a connection to the journal's server, on which all other channels are.
    """

    def __init__(self, settings: Settings, journal: Redis) -> None:
        self._base = settings.channel
        self._journal = journal
        same = settings.journal_url == settings.message_queue
        self._queue: Redis = journal if same else connect(settings.message_queue)

    def send(self, channel: str, body: str) -> None:
        """See `Post.send`."""
        queue = self._queue if channel == self._base else self._journal
        try:
            queue.publish(channel, body)
        except (RedisError, OSError) as error:
            raise QueueUnavailable(f"the message queue can't be reached: {error}") from error

    def settle(self, seconds: float) -> bool:
        """See `Post.settle`: nothing is ever under way."""
        return True

    def close(self) -> None:
        """See `Post.close`."""
        self._queue.close()
