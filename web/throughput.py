"""How many jobs ended in each of the last minutes, as a small picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MINUTES = 30
HEIGHT = 24


@dataclass(frozen=True)
class Throughput:
    """Jobs that ended, minute by minute.

    Attributes:
        counts: one for each minute, the oldest first.
    """

    counts: tuple[int, ...]

    @classmethod
    def of(cls, records: Iterable[Mapping[str, Any]], now: float) -> Throughput:
        """Count the ends of the last half hour."""
        counts = [0] * MINUTES
        for record in records:
            ended = record.get("ended_at")
            minutes = (now - ended) / 60 if isinstance(ended, int | float) else MINUTES
            if 0 <= minutes < MINUTES:
                counts[MINUTES - 1 - int(minutes)] += 1
        return cls(tuple(counts))

    @property
    def bars(self) -> list[tuple[int, float, float]]:
        """The bars as (x, y, height) in a box of `MINUTES` by `HEIGHT`."""
        most = max(self.counts) or 1
        heights = [max(0.75, count / most * HEIGHT) for count in self.counts]
        return [(x, round(HEIGHT - h, 2), round(h, 2)) for x, h in enumerate(heights)]

    @property
    def told(self) -> str:
        """The same in words."""
        total, last = sum(self.counts), self.counts[-1]
        return f"{total:,} ended in {MINUTES} minutes, {last:,} in the last minute"
