"""How fast a client sends: counted in moving windows, by the library `limits`.

Its own memory storage starts a thread each 10 ms that goes through all keys; this one forgets what
is old when it is asked, and a client when it leaves.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from typing import Final, Literal

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import MovingWindowRateLimiter

#: A client that sends so many times faster than it may, for so many seconds, is disconnected.
FLOOD_FACTOR: Final = 10
FLOOD_SECONDS: Final = 3
#: Frames that are no whole message may be read in a thread of their own: so has their key.
_PARTS: Final = "parts"

Verdict = Literal["ok", "too_many", "flood"]


class Windows(Storage, MovingWindowSupport):
    """The moments of the last hits of each key; a key is only used by one thread at a time."""

    def __init__(self) -> None:
        super().__init__()
        # Lists: most clients have few hits, and an empty deque takes 700 bytes.
        self._hits: dict[str, list[float]] = {}

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a hit unless the window is full."""
        now = time.monotonic()
        hits = self._hits.setdefault(key, [])
        del hits[: bisect_right(hits, now - expiry)]
        if len(hits) + amount > limit:
            return False
        hits.extend([now] * amount)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return when the window began, and how many hits are in it."""
        now = time.monotonic()
        recent = [hit for hit in self._hits.get(key, ()) if hit > now - expiry]
        return (recent[0] if recent else now), len(recent)

    def get(self, key: str) -> int:
        """Return how many hits are remembered."""
        return len(self._hits.get(key, ()))

    def clear(self, key: str) -> None:
        """Forget a key."""
        self._hits.pop(key, None)

    def clear_moving_window(self, key: str, limit: int, expiry: int) -> None:
        """Forget a key."""
        self.clear(key)

    def reset(self) -> int:
        """Forget everything."""
        count = len(self._hits)
        self._hits.clear()
        return count

    def check(self) -> bool:
        """It always works."""
        return True

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Fixed windows are not kept."""
        raise NotImplementedError("only moving windows are kept")

    def get_expiry(self, key: str) -> float:
        """Fixed windows are not kept."""
        raise NotImplementedError("only moving windows are kept")

    @property
    def base_exceptions(self) -> type[Exception]:
        """What the storage may raise."""
        return ValueError


class Pace:
    """Decides about messages by how fast they come.

    Args:
        rate: messages a second that a client may go on sending.
        burst: how many it may send at once.
    """

    def __init__(self, rate: int, burst: int) -> None:
        seconds = math.ceil(burst / rate)
        self._storage = Windows()
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._usual: RateLimitItem = RateLimitItemPerSecond(rate * seconds, seconds, "usual")
        self._flood: RateLimitItem = RateLimitItemPerSecond(
            FLOOD_FACTOR * rate * FLOOD_SECONDS + burst, FLOOD_SECONDS, "flood"
        )

    def message(self, client: str) -> Verdict:
        """Count a message of a client."""
        if not self._limiter.hit(self._flood, client):
            return "flood"
        return "ok" if self._limiter.hit(self._usual, client) else "too_many"

    def frame(self, client: str, *, parts: bool = False) -> Verdict:
        """Count something that is no message, such as a ping; parts of messages by themselves."""
        key = (client, _PARTS) if parts else (client,)
        return "ok" if self._limiter.hit(self._flood, *key) else "flood"

    def forget(self, client: str) -> None:
        """A client has left."""
        for item in (self._usual, self._flood):
            self._storage.clear(item.key_for(client))
        self._storage.clear(self._flood.key_for(client, _PARTS))
