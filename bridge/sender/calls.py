"""What a process sends past the journal: events to sids and rooms, and who joins a job."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from bridge.errors import QueueUnavailable
from bridge.sender.sink import Sink

FIRST_PAUSE: Final = 0.05
LAST_PAUSE: Final = 2.0

_log = logging.getLogger("bridge.sender")
# Of its own: the global one belongs to the user's task, which may have seeded it.
_random = random.Random()

Call = Callable[[Sink], None]


class Calls:
    """Calls that wait to be made, in order. Its way may be closed where the journal's is open.

    Args:
        limit: how many wait at most; beyond it the oldest is dropped.

    Attributes:
        due_at: monotonic time before which nothing is tried.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[Call] = deque()
        self._pause = FIRST_PAUSE
        self.due_at = float("-inf")

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, call: Call) -> bool:
        """Add one; returns whether there was room for it without dropping another."""
        self._waiting.append(call)
        if len(self._waiting) <= self._limit:
            return True
        self._waiting.popleft()
        return False

    def make(self, sink: Sink) -> None:
        """Make all that wait, until one fails; it is tried again after a pause."""
        while self._waiting and time.monotonic() >= self.due_at:
            call = self._waiting.popleft()
            try:
                call(sink)
            except QueueUnavailable as error:
                self._waiting.appendleft(call)
                self._hold(error)
            else:
                self._pause = FIRST_PAUSE

    def _hold(self, error: QueueUnavailable) -> None:
        if self._pause == FIRST_PAUSE:
            _log.warning("what is not a job's waits: %s", error)
        self.due_at = time.monotonic() + _random.uniform(self._pause / 2, self._pause)
        self._pause = min(LAST_PAUSE, self._pause * 2)
