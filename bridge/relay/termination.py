"""Termination: the hard way to stop a job, by Celery's own revoke, where the node has a Celery app.

It goes over Celery's broker, which may be slow or away; a client's request doesn't wait for that
without end, and only a few do at a time.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from bridge.errors import BadRequest, Unavailable

if TYPE_CHECKING:
    from celery import Celery

WAIT_SECONDS: Final = 3
AT_ONCE: Final = 8

_log = logging.getLogger(__name__)


class Termination:
    """Tells Celery's workers to end the process that executes a job.

    Args:
        celery: the app whose workers are told; None: there is none, and every request is refused.
    """

    def __init__(self, celery: Celery | None) -> None:
        self._celery = celery
        self._free = threading.Semaphore(AT_ONCE)

    def check(self) -> None:
        """Raise `BadRequest` if this node can't do it."""
        if self._celery is None:
            raise BadRequest(
                "terminate is not possible here: this node has no Celery app. Give it one, "
                "Bridge(app, celery=...), or cancel without terminate"
            )

    def terminate(self, job: str) -> None:
        """Tell the workers.

        Raises:
            Unavailable: the broker did not take it in time; the job is asked to stop all the same.
        """
        if not self._free.acquire(blocking=False):
            raise Unavailable("too many jobs are being terminated: try again in a moment")
        told, done = threading.Event(), threading.Event()
        threading.Thread(target=self._revoke, args=(job, told, done), daemon=True).start()
        done.wait(WAIT_SECONDS)
        if not told.is_set():
            raise Unavailable(
                "Celery's broker doesn't answer; the job was asked to stop, and was not terminated"
            )

    def _revoke(self, job: str, told: threading.Event, done: threading.Event) -> None:
        assert self._celery is not None
        try:
            # A connection of its own, with an end to its trying, shows that the broker is there.
            with self._celery.connection_for_write(connect_timeout=WAIT_SECONDS) as connection:
                if connection.transport.driver_type == "redis":
                    limits = {
                        "socket_timeout": WAIT_SECONDS,
                        "socket_connect_timeout": WAIT_SECONDS,
                    }
                    connection.transport_options = {
                        **limits,
                        **(connection.transport_options or {}),
                    }
                connection.ensure_connection(max_retries=1, timeout=WAIT_SECONDS)
                self._celery.control.revoke(job, terminate=True, connection=connection)
            told.set()
        except Exception as error:  # noqa: BLE001 - any broker, any trouble
            _log.warning("job %s can't be terminated: %s", job, error)
        finally:
            done.set()
            self._free.release()
