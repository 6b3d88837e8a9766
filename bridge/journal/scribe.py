"""A scribe: a thread that writes into Celery's result backend what is due, and nothing else.

A backend may hang for minutes, and neither a task nor the sender thread may wait for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from bridge.errors import QueueUnavailable

#: How long a scribe rests after a failure; longer `close` doesn't wait for it.
PAUSE_SECONDS: Final = 1.0

_log = logging.getLogger(__name__)


class Scribe:
    """Starts its thread with the first `kick`, so that it may be made before a fork.

    Args:
        name: the thread's.
        due_in: tells in how many seconds something is due, None: nothing is; called with `changed`
            held.
        write: does what is due and returns whether there was anything; may wait, and may raise
            `QueueUnavailable`.
        meanwhile: what is logged beside the reason while the backend is away.

    Attributes:
        changed: guards what is to be written; notified when it, or `down`, changes.
        down: whether the backend is away.
    """

    def __init__(
        self,
        name: str,
        *,
        due_in: Callable[[], float | None],
        write: Callable[[], bool],
        meanwhile: str,
    ) -> None:
        self.changed = threading.Condition()
        self.down = False
        self._name = name
        self._due_in = due_in
        self._write = write
        self._meanwhile = meanwhile
        self._thread: threading.Thread | None = None

    def kick(self) -> None:
        """Have it look what is due; to be called with `changed` held."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self.changed.notify_all()

    def close(self) -> None:
        """End the thread; the next kick starts another."""
        with self.changed:
            thread, self._thread = self._thread, None
            self.changed.notify_all()
        if thread is not None:
            thread.join(PAUSE_SECONDS)

    def _work(self) -> None:
        me = threading.current_thread()
        while self._thread is me:
            with self.changed:
                while self._thread is me and (seconds := self._due_in()) != 0:
                    self.changed.wait(seconds)
            try:
                if self._write():
                    self._came_back()
            except QueueUnavailable as error:
                self._went_away(error)
                time.sleep(PAUSE_SECONDS)
            except Exception:  # noqa: BLE001 - the thread must outlive whatever it met
                _log.exception("%s met an error, and goes on", self._name)
                time.sleep(PAUSE_SECONDS)

    def _went_away(self, error: QueueUnavailable) -> None:
        if not self.down:
            _log.warning("%s; %s", error, self._meanwhile)
        with self.changed:
            self.down = True
            self.changed.notify_all()

    def _came_back(self) -> None:
        if self.down:
            _log.warning("the result backend is back")
        self.down = False
