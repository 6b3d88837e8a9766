"""Who is in which room on this node: an index both ways, bounded and cleaned.

python-socketio's own rooms are not used for jobs, because leaving them scans every room.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Final

from bridge.relay.inbox import Inbox
from bridge.relay.message import Aside
from bridge.relay.outlet import Outlet

#: A room without members is listened to for so long: a reload or a short disconnection is cheap.
LINGER_SECONDS: Final = 5.0
TURNS: Final = 4


class Member:
    """A connected client in one namespace.

    Attributes:
        namespace: the Socket.IO namespace; sid: the client's id in it.
        eio_sid: the Engine.IO id of its connection.
        watches: what it watches, each with the rooms that this takes.
        rooms: the rooms that it is in, and for how many watches.
        users: whom its permissions name; none where they name jobs only.
        has_watched: whether it ever watched anything.
        behind: jobs of which this client must be sent the newest, because messages were left out
            for it, each with the seq since when.
        aside: jobs whose past is being read for this client: what comes meanwhile waits here.
        told: jobs whose past was sent to this client, each with its highest rev: messages up to
            that may be on their way still.
        outlet: the direct way to it, once it is known that there is one.
        turns: its messages are answered so many at a time, so that its answers can be bounded.
        inbox: where its messages go, if it is a stream and no client of Socket.IO; else None.
        gone: whether it has disconnected.
    """

    __slots__ = (
        "aside", "behind", "eio_sid", "gone", "has_watched", "inbox", "namespace", "outlet",
        "rooms", "sid", "told", "turns", "users", "watches",
    )  # fmt: skip

    def __init__(self, namespace: str, sid: str, eio_sid: str, inbox: Inbox | None = None) -> None:
        self.namespace = namespace
        self.sid = sid
        self.eio_sid = eio_sid
        self.inbox = inbox
        self.watches: dict[str, tuple[str, ...]] = {}
        self.rooms: Counter[str] = Counter()
        self.users: set[str] = set()
        self.has_watched = False
        self.behind: dict[str, int] = {}
        self.aside: dict[str, Aside] = {}
        self.told: dict[str, int] = {}
        self.outlet: Outlet | None = None
        self.turns = threading.Semaphore(TURNS)
        self.gone = False


class Members:
    """The members of all rooms of this node.

    Args:
        on_empty: called, under the lock, with a room that has had no member for `linger_seconds`.
        lock: a re-entrant lock to use; default: one of its own.
        linger_seconds: how long an empty room is kept; default: `LINGER_SECONDS`.
        clock: seconds that only rise, injectable for tests.
    """

    def __init__(
        self,
        on_empty: Callable[[str], None],
        lock: AbstractContextManager[Any] | None = None,
        *,
        linger_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_empty = on_empty
        self._linger_seconds = LINGER_SECONDS if linger_seconds is None else linger_seconds
        self._clock = clock
        self._lock = lock or threading.RLock()
        self._by_sid: dict[tuple[str, str], Member] = {}
        self._by_connection: dict[str, set[Member]] = {}
        self._by_namespace: dict[str, set[Member]] = {}
        self._by_user: dict[str, set[Member]] = {}
        self._rooms: dict[str, dict[Member, None]] = {}
        self._ends: dict[tuple[Member, str], float] = {}
        self._first_end = math.inf  # or earlier: what is asked for often must not look at all
        self._empty_since: dict[str, float] = {}
        self._in_wide_rooms = 0

    def connect(self, namespace: str, sid: str, eio_sid: str, inbox: Inbox | None = None) -> Member:
        """Return the member for a connected client, a new one the first time."""
        with self._lock:
            key = (namespace, sid)
            member = self._by_sid.get(key)
            if member is None:
                member = self._by_sid[key] = Member(namespace, sid, eio_sid, inbox)
                self._by_connection.setdefault(eio_sid, set()).add(member)
                self._by_namespace.setdefault(namespace, set()).add(member)
            return member

    def find(self, namespace: str, sid: str) -> Member | None:
        """Return the member for a client, None if it has none."""
        return self._by_sid.get((namespace, sid))

    def of_connection(self, eio_sid: str) -> list[Member]:
        """Return the members of one connection, in whatever namespace."""
        with self._lock:
            return list(self._by_connection.get(eio_sid, ()))

    def outside(self, namespace: str) -> list[Member]:
        """Return the members in other namespaces than this."""
        if len(self._by_namespace.get(namespace, ())) == len(self._by_sid):
            return []
        with self._lock:
            others = [each for name, each in self._by_namespace.items() if name != namespace]
            return [member for each in others for member in each]

    def disconnect(self, member: Member) -> None:
        """Take a client out of everything."""
        with self._lock:
            member.gone = True
            for watch in list(member.watches):
                self.leave(member, watch)
            member.behind.clear()
            member.aside.clear()
            member.told.clear()
            for user in member.users:
                self._by_user[user].discard(member)
                if not self._by_user[user]:
                    del self._by_user[user]
            self._by_sid.pop((member.namespace, member.sid), None)
            for table, key in (
                (self._by_connection, member.eio_sid),
                (self._by_namespace, member.namespace),
            ):
                siblings = table.get(key, set())
                siblings.discard(member)
                if not siblings:
                    table.pop(key, None)

    def belong(self, member: Member, user: str, limit: int) -> bool:
        """Note whose client it is; False if that user has so many connections already."""
        with self._lock:
            if user in member.users or member.gone:
                return True
            others = {each.eio_sid for each in self._by_user.get(user, ())} - {member.eio_sid}
            if len(others) >= limit:
                return False
            member.users.add(user)
            self._by_user.setdefault(user, set()).add(member)
            return True

    def enter(
        self, member: Member, watch: str, rooms: Iterable[str], ends: float | None = None
    ) -> bool:
        """Put a client into rooms.

        Args:
            member: the client.
            watch: what it watches; a second time can only make it last longer.
            rooms: the rooms that this takes.
            ends: the Unix second at which its permission ends; None: it doesn't.

        Returns:
            False if the client has disconnected meanwhile.
        """
        with self._lock:
            if member.gone:
                return False
            known = watch in member.watches
            if ends is None:
                self._ends.pop((member, watch), None)
            elif not known or (member, watch) in self._ends:
                self._ends[member, watch] = max(ends, self._ends.get((member, watch), 0.0))
                self._first_end = min(self._first_end, ends)
            if known:
                return True
            member.has_watched = True
            member.watches[watch] = tuple(rooms)
            for room in member.watches[watch]:
                member.rooms[room] += 1
                if member.rooms[room] == 1:
                    self._in_wide_rooms += _is_wide(room)
                    self._rooms.setdefault(room, {})[member] = None
                    self._empty_since.pop(room, None)
            return True

    def leave(self, member: Member, watch: str) -> list[str]:
        """Take a client out of the rooms that only this watch of its takes; returns these."""
        left = []
        with self._lock:
            self._ends.pop((member, watch), None)
            for room in member.watches.pop(watch, ()):
                member.rooms[room] -= 1
                if member.rooms[room]:
                    continue
                left.append(room)
                del member.rooms[room]
                self._in_wide_rooms -= _is_wide(room)
                self._rooms[room].pop(member, None)
                if not self._rooms[room]:
                    del self._rooms[room]
                    self._empty_since[room] = self._clock()
        return left

    def leave_expired(self, now: float) -> list[tuple[Member, str, list[str]]]:
        """End the watches whose permission has ended; returns them with the rooms left by it."""
        if now < self._first_end:
            return []
        with self._lock:
            expired = [key for key, ends in self._ends.items() if ends <= now]
            left = [(member, watch, self.leave(member, watch)) for member, watch in expired]
            self._first_end = min(self._ends.values(), default=math.inf)
            return left

    def of(self, room: str) -> tuple[Member, ...]:
        """Return the members of a room."""
        return tuple(self._rooms.get(room, ()))  # in one step: no lock is needed

    def rooms(self) -> list[str]:
        """Return the rooms that have members."""
        with self._lock:
            return list(self._rooms)

    @property
    def overlap(self) -> bool:
        """Whether a client may be in several rooms of one job."""
        return self._in_wide_rooms > 0

    def close_empty(self) -> None:
        """Give up the rooms that have been empty for long enough."""
        limit = self._clock() - self._linger_seconds
        with self._lock:
            # Oldest first, as dicts keep the order in which the rooms became empty.
            for room, since in list(self._empty_since.items()):
                if since > limit:
                    break
                del self._empty_since[room]
                self._on_empty(room)

    def __len__(self) -> int:
        """How many clients this node knows."""
        return len(self._by_sid)


def _is_wide(room: str) -> bool:
    """Whether it is a root's or a user's room, in which messages of many jobs arrive."""
    return not room.startswith("job:")
