"""The WebSockets behind the connections: they end when their connection does, and upgrades in time.

A server may close a connection and wait for ever for the client to close its end, too; and what a
polling client opens in order to upgrade is no connection of its own, so nobody counts it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

#: So long a client may take to hear that its connection has been closed.
LAST_WORDS_SECONDS: Final = 1.0


class Links:
    """The WebSockets of one process.

    Args:
        quiet_seconds: how long an upgrade may take.
        clock: seconds that only rise, injectable for tests.
    """

    def __init__(self, quiet_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._quiet_seconds = quiet_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._ends: dict[str, Callable[[], None]] = {}
        self._upgrading: dict[str, tuple[float, Any]] = {}
        self._leaving: deque[tuple[float, Callable[[], None]]] = deque()

    def open(self, connection: Any, end: Callable[[], None]) -> bool:
        """A WebSocket for a connection is open; False if that has one already.

        Args:
            connection: Engine.IO's.
            end: ends the WebSocket at once, whatever its client does.
        """
        with self._lock:
            if connection.sid in self._ends:
                return False
            self._ends[connection.sid] = end
            if connection.connected:
                self._upgrading[connection.sid] = (self._clock(), connection)
            return True

    def closed(self, eio_sid: str) -> None:
        """A connection's WebSocket has ended, if only its attempt to upgrade."""
        with self._lock:
            self._ends.pop(eio_sid, None)
            self._upgrading.pop(eio_sid, None)

    def leave(self, eio_sid: str) -> None:
        """A connection has gone; so will its WebSocket, after the last words."""
        with self._lock:
            self._upgrading.pop(eio_sid, None)
            end = self._ends.pop(eio_sid, None)
            if end is not None:
                self._leaving.append((self._clock() + LAST_WORDS_SECONDS, end))

    def tend(self) -> None:
        """End what is due."""
        for end in self._due():
            end()

    def _due(self) -> list[Callable[[], None]]:
        now = self._clock()
        due = []
        with self._lock:
            while self._leaving and self._leaving[0][0] <= now:
                due.append(self._leaving.popleft()[1])
            for sid, (since, connection) in list(self._upgrading.items()):
                if not connection.upgraded and since > now - self._quiet_seconds:
                    break
                del self._upgrading[sid]
                if not connection.upgraded:
                    due.append(self._ends[sid])
        return due
