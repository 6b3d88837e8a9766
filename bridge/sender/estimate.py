"""Rate and time left, smoothed."""

from __future__ import annotations

import math
from typing import Final

#: Seconds after which an old rate counts for 1/e.
SMOOTHING_SECONDS: Final = 5.0


class Estimator:
    """An exponential moving average of the rate, weighted by the time that each sample covers.

    A plain EMA gives every sample the same weight, and ours come at uneven times; see tqdm's
    bias-corrected EMA, whose start-up correction this has too.
    """

    def __init__(self) -> None:
        self._at: float | None = None
        self._current = 0.0
        self._rate = 0.0
        self._weight = 0.0

    def sample(self, at: float, current: float) -> None:
        """Take note of how far the work is.

        Args:
            at: a monotonic time in seconds.
            current: the units done by then; fewer than before starts the estimate anew.
        """
        if self._at is None or current < self._current:
            self._at, self._current, self._rate, self._weight = at, current, 0.0, 0.0
            return
        elapsed = at - self._at
        if elapsed <= 0:
            return
        keep = math.exp(-elapsed / SMOOTHING_SECONDS)
        self._rate = keep * self._rate + (1 - keep) * (current - self._current) / elapsed
        self._weight = keep * self._weight + (1 - keep)
        self._at, self._current = at, current

    @property
    def rate(self) -> float | None:
        """Units a second, or None as long as there is nothing to tell."""
        rate = self._rate / self._weight if self._weight else None
        return rate if rate is not None and math.isfinite(rate) else None

    def eta(self, total: float | None) -> float | None:
        """Seconds until `total`, or None where that can't be told."""
        rate = self.rate
        if total is None or not rate or rate < 0:
            return None
        left = max(0.0, (total - self._current) / rate)
        return left if math.isfinite(left) else None
