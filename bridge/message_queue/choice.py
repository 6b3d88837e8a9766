"""Which message queue a URL means: the one place where Redis and RabbitMQ are told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from redis import Redis

from bridge.message_queue.subscriber import Line
from bridge.settings import Settings

if TYPE_CHECKING:
    from bridge.message_queue.rabbitmq.publisher import Publisher


class Post(Protocol):
    """Sends past the journal."""

    def send(self, channel: str, body: str) -> None:
        """Send to the base channel, or to one of ours; raises `QueueUnavailable`."""

    def settle(self, seconds: float) -> bool:
        """Wait until what the journal gave to be carried is under way no more; whether it is."""

    def close(self) -> None:
        """Close the connections; the next message opens them anew."""


def carrier_of(settings: Settings) -> Publisher | None:
    """Return what carries the jobs' messages; None: the journal's script publishes them itself."""
    if not settings.by_rabbitmq:
        return None
    from bridge.message_queue.rabbitmq.publisher import Publisher

    return Publisher(settings.message_queue, settings.channel)


def post_of(settings: Settings, journal: Redis, carrier: Publisher | None) -> Post:
    """Return what a worker sends by, past the journal.

    Args:
        settings: the queue and the channel.
        journal: a connection to the journal's server.
        carrier: this process's, made by `carrier_of`.
    """
    if carrier is not None:
        return carrier
    from bridge.message_queue.redis_post import RedisPost

    return RedisPost(settings, journal)


def line_of(settings: Settings, carrier: Publisher | None) -> Line:
    """Return what a node's subscriber listens by.

    Args:
        settings: the queue and the channel.
        carrier: this process's, made by `carrier_of`.
    """
    if carrier is None:
        from bridge.message_queue.redis_line import RedisLine

        return RedisLine(settings.journal_url)
    from bridge.message_queue.rabbitmq.line import RabbitLine

    return RabbitLine(settings.message_queue, settings.channel, carrier)


def base_channel_of(settings: Settings) -> Any:
    """Return the client manager of a server that the bridge makes."""
    if not settings.by_rabbitmq:
        from bridge.message_queue.stock import StockManager

        return StockManager(settings.message_queue, settings.channel)
    from bridge.message_queue.rabbitmq.base_channel import RabbitManager

    return RabbitManager(settings.message_queue, settings.channel)
