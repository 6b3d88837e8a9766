"""The worker's client manager: what a write-only `SocketIO` emits through.

Messages of jobs go through the journal's script, which journals and publishes them in one step, and
its receipts are kept for the sender. Everything else goes out on the base channel just as
python-socketio's own managers send it, so that stock nodes understand it.
"""

from __future__ import annotations

import json
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from socketio import PubSubManager

from bridge.errors import QueueUnavailable
from bridge.journal import Journal, RedisJournal, connect
from bridge.records import Publication, Receipt
from bridge.rooms import relay_channel
from bridge.settings import Settings


class SenderManager(PubSubManager):  # type: ignore[misc]  # python-socketio has no types
    """A write-only manager that journals what concerns jobs.

    Args:
        settings: the queue, the journal and the channel.
    """

    name = "celery-bridge"

    def __init__(self, settings: Settings) -> None:
        super().__init__(channel=settings.channel, write_only=True, json=json)
        self._queue: Redis = connect(settings.message_queue)
        same = settings.journal_url == settings.message_queue
        self._room_queue: Redis = self._queue if same else connect(settings.journal_url)
        self._relay_channel = relay_channel(settings.channel)
        self._collected: list[Publication] = []
        self.journal: Journal = RedisJournal(self._room_queue, settings)

    def emit(self, event: str, data: Any, *args: Any, **kwargs: Any) -> None:
        """Collect a job's `Publication` until `flush`; send anything else at once, as stock does.

        Raises:
            QueueUnavailable: it was sent at once, and could not be.
        """
        if isinstance(data, Publication):
            self._collected.append(data)
            return
        super().emit(event, data, *args, **kwargs)

    def flush(self) -> list[Receipt]:
        """Journal and publish what was collected, in one round trip.

        Raises:
            QueueUnavailable: it is not known what arrived; emit the same again.
        """
        collected, self._collected = self._collected, []
        return self.journal.publish(collected) if collected else []

    def join(self, sid: str, namespace: str, job: str) -> None:
        """Tell every relay that a client, wherever it is connected, joins a job.

        Raises:
            QueueUnavailable: it could not be told.
        """
        message = {"method": "join", "sid": sid, "namespace": namespace, "job": job}
        self._send(self._room_queue, self._relay_channel, message)

    def close(self) -> None:
        """Close the connections; the next command opens them anew."""
        self._queue.close()
        self._room_queue.close()

    def _publish(self, data: dict[str, Any]) -> None:
        self._send(self._queue, self.channel, data)

    def _send(self, queue: Redis, channel: str, message: dict[str, Any]) -> None:
        try:
            queue.publish(channel, json.dumps(message))
        except (RedisError, OSError) as error:
            raise QueueUnavailable(f"the message queue can't be reached: {error}") from error
