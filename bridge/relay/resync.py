"""Resync: what a node's clients were not told because the queue was lost, or a message was.

Each job that is followed has a place, the last (rev, seq) passed on. What the journal has beyond it
is sent to whoever watches, and what comes live meanwhile waits aside.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Final

from bridge.errors import QueueUnavailable
from bridge.records import Reading
from bridge.relay.catch_up import CatchUp, Gap
from bridge.relay.fanout import Fanout
from bridge.relay.members import Member, Members
from bridge.relay.message import EVENT, Aside, Message, cut_at, messages_of, outline_of
from bridge.relay.reader import Reader
from bridge.relay.trails import Place, Trail, Trails
from bridge.rooms import job_room, root_room, user_room

#: After a loss of the queue, so many of a root's or user's newest jobs are looked at.
NEW_JOBS_A_ROOM: Final = 100
_PAUSE_SECONDS: Final = 0.25

_log = logging.getLogger(__name__)


class Resync:
    """Makes up for what was not heard.

    Args:
        trails: how far each job was followed; members: who watches it.
        reader: lists jobs; catch_up: reads them, in its own thread; fanout: sends.
        pass_on: takes a live message that waited: (trail, message, members).
        namespace: the bridge's own; clients in it can ask for what they missed.
        lock: guards trails and members.
        stopped: set when the relay ends.
    """

    def __init__(
        self,
        trails: Trails,
        members: Members,
        reader: Reader,
        catch_up: CatchUp,
        fanout: Fanout,
        *,
        pass_on: Callable[[Trail, Message, Iterable[Member]], None],
        namespace: str,
        lock: AbstractContextManager[Any],
        stopped: threading.Event,
    ) -> None:
        self._trails = trails
        self._members = members
        self._reader = reader
        self._catch_up = catch_up
        self._fanout = fanout
        self._pass_on = pass_on
        self._namespace = namespace
        self._lock = lock
        self._stopped = stopped

    def followed(self) -> dict[str, Place]:
        """See `bridge.relay.sweep.Followed`."""
        return {job: trail.place for job, trail in self._trails if trail.aside is None}

    def make_up(self, job: str) -> None:
        """See `bridge.relay.sweep.Followed`."""
        with self._lock:
            trail = self._trails.of(job)
            if trail.aside is not None:
                return
            trail.aside = Aside()
        self._catch_up.add(self._gap_of_trail(job, trail, trail.place[1]))

    def set_aside(self) -> None:
        """The queue is lost: what comes of any job from now on waits until `all` has read it."""
        with self._lock:
            for _, trail in self._trails:
                trail.aside = Aside()

    def all(self) -> None:
        """The queue is back: have every job read that waits, and look for those that began."""
        with self._lock:
            followed = [(job, trail) for job, trail in self._trails if trail.aside is not None]
        _log.info("resyncing %d jobs after a loss of the message queue", len(followed))
        for job, trail in followed:
            self._catch_up.add(self._gap_of_trail(job, trail, trail.place[1]))
        for room in self._members.rooms():
            self._find_new_jobs(room)

    def _find_new_jobs(self, room: str) -> None:
        """Follow the jobs of a root or a user that began while the queue was lost."""
        if room.startswith("job:"):
            return
        while not self._stopped.is_set():
            try:
                jobs = self._reader.list_jobs(room, NEW_JOBS_A_ROOM).jobs
                break
            except QueueUnavailable:
                self._stopped.wait(_PAUSE_SECONDS)
        else:
            return
        for job in jobs:
            with self._lock:
                trail = self._trails.of(job)
                if trail.rev or trail.aside is not None:
                    continue
                trail.aside = Aside()
            self._catch_up.add(self._gap_of_trail(job, trail, trail.place[1]))

    def _gap_of_trail(self, job: str, trail: Trail, since: int) -> Gap:
        aside = trail.aside or Aside()
        return Gap(
            job, since, aside,
            fill=lambda reading: self._tell_followers(job, trail, aside, reading),
            wanted=lambda: trail.aside is aside,
        )  # fmt: skip

    def _tell_followers(self, job: str, trail: Trail, aside: Aside, reading: Reading) -> Gap | None:
        rev, seq, _ = trail.place
        is_cut = cut_at(reading) is not None
        missed = [
            message
            for message in (outline_of if is_cut else messages_of)(job, reading)
            if message.rev > rev and (message.kind != EVENT or message.seq > seq or reading.gap)
        ]
        with self._lock:
            if trail.aside is not aside:
                return None
            audience = self._audience(job, reading)
            if is_cut:
                audience = self._leave_behind_who_cannot_ask(job, trail.seq, audience)
            for message in missed:
                trail.advance(message)
                self._fanout.deliver(message, audience)
            trail.seq = max(trail.seq, reading.last_seq)
            if aside.overflowed:
                return self._gap_of_trail(job, trail, trail.seq)
            for message, room in aside.after(trail.rev):
                self._pass_on(trail, message, self._members.of(room))
            trail.aside = None
        return None

    def _leave_behind_who_cannot_ask(
        self, job: str, since: int, audience: list[Member]
    ) -> list[Member]:
        """Have the past read for each client in a namespace of the host's; returns the others."""
        others = []
        for member in audience:
            if member.namespace == self._namespace:
                others.append(member)
            else:
                self._fanout.leave_behind(member, job, since)
        return others

    def _audience(self, job: str, reading: Reading) -> list[Member]:
        rooms = rooms_of(job, reading)
        return list(dict.fromkeys(member for room in rooms for member in self._members.of(room)))


def rooms_of(job: str, reading: Reading) -> list[str]:
    """The rooms in which a job's messages are heard."""
    rooms = [job_room(job)]
    if reading.snapshot is not None:
        root, user = reading.snapshot.get("root"), reading.snapshot.get("user")
        rooms += [root_room(root)] if root else []
        rooms += [user_room(user)] if user else []
    return rooms
