"""What a node counts: refusals, limits that were hit, malformed messages. Metrics read it later."""

from __future__ import annotations

import threading
from collections import Counter


class Counters:
    """Counts by name; names are fixed words of ours, never something that a client sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> int:
        """Count one more; returns how many there are now."""
        with self._lock:
            self._counts[name] += 1
            return self._counts[name]

    def __getitem__(self, name: str) -> int:
        """How many there were; 0 for a name that was never counted."""
        return self._counts[name]

    def as_dict(self) -> dict[str, int]:
        """Return all counts."""
        with self._lock:
            return dict(self._counts)
