"""The emitter: the write-only `SocketIO` of a process, on the custom channel."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from celery import Celery
from flask_socketio import SocketIO

from bridge.journal import Journal
from bridge.message_queue.manager import SenderManager
from bridge.records import Publication, Receipt
from bridge.rooms import job_room
from bridge.sender.mirror import Mirror
from bridge.settings import Settings


class Emitter:
    """Sends what the outbox holds; every method may raise `QueueUnavailable`.

    It connects with its first message, so that it may be built before a fork.

    Args:
        settings: queue, journal, channel and namespace.
        mirror: is told what was published; None: there is none.
        celery: the app whose tasks these are, if it is known.
    """

    def __init__(
        self, settings: Settings, mirror: Mirror | None = None, celery: Celery | None = None
    ) -> None:
        self._mirror = mirror
        self._manager = SenderManager(settings, celery)
        self._namespace = settings.namespace
        # Without async_mode it would pick eventlet where that is installed, and import it.
        self._socketio = SocketIO(
            message_queue=settings.message_queue,
            channel=settings.channel,
            client_manager=self._manager,
            async_mode="threading",
        )

    @property
    def journal(self) -> Journal:
        """The journal behind the manager, for reading."""
        return self._manager.journal

    def publish(self, publications: Sequence[Publication]) -> list[Receipt]:
        """Journal and publish states and events of jobs, in order, in one round trip."""
        for publication in publications:
            self._socketio.emit(
                publication.name,
                publication,
                namespace=self._namespace,
                to=job_room(publication.job),
            )
        receipts = self._manager.flush()
        if self._mirror is not None:
            self._mirror.take(publications, receipts)
        return receipts

    def send(self, name: str, data: Any, *, to: str, namespace: str) -> None:
        """Emit an event that is not a job's to a room or a sid, over the base channel."""
        self._socketio.emit(name, data, namespace=namespace, to=to)

    def join(self, sid: str, namespace: str, job: str) -> None:
        """Make a client that is connected somewhere a member of a job's room."""
        self._manager.join(sid, namespace, job)

    def settle(self, seconds: float) -> bool:
        """Wait until what was published has arrived everywhere; returns whether it has."""
        end = time.monotonic() + seconds
        arrived = self._manager.settle(seconds)
        if self._mirror is None:
            return arrived
        return self._mirror.settle(max(0.0, end - time.monotonic())) and arrived

    def close(self) -> None:
        """Close the connections."""
        if self._mirror is not None:
            self._mirror.close()
        self._manager.close()
