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
        settings: the queue, the base channel, and the journal: if that is a Redis, all other
            channels are on its server.
    """

    def __init__(self, settings: Settings) -> None:
        self._base = settings.channel
        rooms = settings.journal_url if settings.in_redis else settings.message_queue
        self._rooms = connect(rooms)
        same = rooms == settings.message_queue
        self._queue: Redis = self._rooms if same else connect(settings.message_queue)

    def send(self, channel: str, body: str) -> None:
        """See `Post.send`."""
        queue = self._queue if channel == self._base else self._rooms
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
        self._rooms.close()
