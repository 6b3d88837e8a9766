"""The worker's client manager: what a write-only `SocketIO` emits through.

Messages of jobs go through the journal's script, which journals and publishes them in one step, and
its receipts are kept for the sender. Everything else goes out on the base channel just as
python-socketio's own managers send it, so that stock nodes understand it.
"""

from __future__ import annotations

import json
import time
from typing import Any

from celery import Celery
from socketio import PubSubManager

from bridge.journal import Journal, open_journal
from bridge.message_queue.choice import carrier_of, post_of
from bridge.records import Publication, Receipt
from bridge.rooms import relay_channel
from bridge.settings import Settings


class SenderManager(PubSubManager):  # type: ignore[misc]  # python-socketio has no types
    """A write-only manager that journals what concerns jobs.

    Args:
        settings: the queue, the journal and the channel.
        celery: as for `open_journal`.
    """

    name = "celery-bridge"

    def __init__(self, settings: Settings, celery: Celery | None = None) -> None:
        super().__init__(channel=settings.channel, write_only=True, json=json)
        carrier = carrier_of(settings)
        self._post = post_of(settings, carrier)
        self._relay_channel = relay_channel(settings.channel)
        self._collected: list[Publication] = []
        self.journal: Journal = open_journal(settings, carrier, celery)

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
        self._post.send(self._relay_channel, json.dumps(message))

    def settle(self, seconds: float) -> bool:
        """Wait until what was published has arrived at the broker and is stored; whether it is."""
        end = time.monotonic() + seconds
        stored = self.journal.settle(seconds)
        return self._post.settle(max(0.0, end - time.monotonic())) and stored

    def close(self) -> None:
        """Close the connections; the next command opens them anew."""
        self._post.close()
        self.journal.close()

    def _publish(self, data: dict[str, Any]) -> None:
        self._post.send(self.channel, json.dumps(data))
