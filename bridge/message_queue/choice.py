"""Which message queue a URL means: the one place where they are told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from bridge.journal import Carrier
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


def carrier_of(settings: Settings) -> Carrier | None:
    """Return what carries the jobs' messages; None: the journal's script publishes them itself."""
    if settings.by_rabbitmq:
        from bridge.message_queue.rabbitmq.publisher import Publisher

        return Publisher(settings.message_queue, settings.channel)
    if settings.in_redis:
        return None
    if settings.by_memory:
        from bridge.message_queue.memory import MemoryCarrier

        return MemoryCarrier()
    from bridge.message_queue.redis_carrier import RedisCarrier

    return RedisCarrier(settings.message_queue)


def post_of(settings: Settings, carrier: Carrier | None) -> Post:
    """Return what a worker sends by, past the journal.

    Args:
        settings: the queue and the channel.
        carrier: this process's, made by `carrier_of`.
    """
    if settings.by_rabbitmq:
        return cast("Publisher", carrier)
    if settings.by_memory:
        from bridge.message_queue.memory import MemoryPost

        return MemoryPost(settings.message_queue, settings.channel)
    from bridge.message_queue.redis_post import RedisPost

    return RedisPost(settings)


def line_of(settings: Settings, carrier: Carrier | None) -> Line:
    """Return what a node's subscriber listens by.

    Args:
        settings: the queue and the channel.
        carrier: this process's, made by `carrier_of`.
    """
    if settings.by_rabbitmq:
        from bridge.message_queue.rabbitmq.line import RabbitLine

        return RabbitLine(settings.message_queue, settings.channel, cast("Publisher", carrier))
    if settings.by_memory:
        from bridge.message_queue.memory import MemoryLine

        return MemoryLine()
    from bridge.message_queue.redis_line import RedisLine

    return RedisLine(settings.journal_url if settings.in_redis else settings.message_queue)


def base_channel_of(settings: Settings) -> Any:
    """Return the client manager of a server that the bridge makes."""
    if settings.by_rabbitmq:
        from bridge.message_queue.rabbitmq.base_channel import RabbitManager

        return RabbitManager(settings.message_queue, settings.channel)
    if settings.by_memory:
        from bridge.message_queue.memory import MemoryManager

        return MemoryManager(settings.message_queue, settings.channel)
    from bridge.message_queue.stock import StockManager

    return StockManager(settings.message_queue, settings.channel)
