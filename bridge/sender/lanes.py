"""All lanes of an outbox: what waits, in which order, and how much at the most."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from bridge.records import Publication
from bridge.sender.lane import Lane, LiveSource, Source
from bridge.settings import Settings


@dataclass
class Counters:
    """What an outbox has seen, for logs and metrics."""

    published: int = 0
    events_dropped: int = 0
    states_dropped: int = 0
    broken: int = 0
    stale: int = 0
    outages: int = 0

    @property
    def dropped(self) -> int:
        """What was given up because the outbox holds no more."""
        return self.events_dropped + self.states_dropped


class Lanes:
    """Lanes by their keys, oldest first, bounded. Tasks put in, the courier takes out.

    Args:
        settings: rates and bounds.
        lock: guards all of it.
        counters: counts what is dropped.
    """

    def __init__(self, settings: Settings, lock: threading.Lock, counters: Counters) -> None:
        self._settings = settings
        self._lock = lock
        self._counters = counters
        self._lanes: dict[str, Lane] = {}
        #: Those of jobs that don't run here, by the same keys.
        self._elsewhere: dict[str, Lane] = {}
        self._events_waiting = 0

    def __len__(self) -> int:
        return len(self._lanes)

    def all(self) -> list[Lane]:
        """Every lane, oldest first."""
        with self._lock:
            return list(self._lanes.values())

    def put(self, key: str, job: str, source: Source) -> Lane:
        """Add a state's source, to the lane of events that waits under its key, if there is one."""
        with self._lock:
            lane = self._lanes.get(key)
            if lane is not None and lane.source is None:
                lane.source = source
                return lane
            lane = Lane(key, job, source)
            if key in self._lanes:
                lane.key = f"{key}#{id(lane)}"
            self._add(lane)
            self._bound()
            return lane

    def restore(self, lane: Lane) -> None:
        """Take back a lane that was done, to be told again."""
        with self._lock:
            if lane.key not in self._lanes:
                self._add(lane)

    def event(self, publication: Publication) -> None:
        """Add an event; with too many waiting the lane's oldest is dropped and counted."""
        key = publication.run_id or f"job:{publication.job}"
        with self._lock:
            lane = self._lanes.get(key)
            if lane is None:
                lane = self._lanes[key] = Lane(key, publication.job)
            lane.events.append(publication)
            self._events_waiting += 1
            crowded = self._events_waiting > self._settings.outbox_jobs and len(lane.events) > 1
            if crowded or len(lane.events) > self._settings.events_kept:
                lane.skipped += lane.events.popleft().skipped + 1
                self._events_waiting -= 1
                self._counters.events_dropped += 1

    def take_events(self, lane: Lane, room: int) -> list[Publication]:
        """Take a lane's oldest events, at most `room`; those of a superseded run are dropped."""
        taken: list[Publication] = []
        with self._lock:
            while lane.events and len(taken) < room:
                event = lane.events.popleft()
                self._events_waiting -= 1
                if not lane.stale:
                    event.skipped += lane.skipped
                    lane.skipped = 0
                    taken.append(event)
        return taken

    def give_back(self, refused: list[tuple[Lane, Publication]]) -> None:
        """Put what the server refused for now before what has come since, in its order."""
        with self._lock:
            for lane, publication in reversed(refused):
                if publication.kind == "state":
                    lane.send_again()
                    continue
                lane.events.appendleft(publication)
                self._events_waiting += 1

    def forget_done(self, except_these: set[int]) -> None:
        """Drop the lanes that are done.

        Args:
            except_these: the ids of lanes from which something is on its way.
        """
        with self._lock:
            for lane in list(self._lanes.values()):
                if lane.done and id(lane) not in except_these:
                    self._remove(lane)

    def interval(self, lane: Lane) -> float:
        """Seconds between a lane's states, by whether anybody listens."""
        settings = self._settings
        return 1.0 / (settings.rate_watched if lane.receivers else settings.rate_idle)

    def due(self, now: float) -> list[Lane]:
        """The lanes from which something may be sent at this monotonic time."""
        return [lane for lane in self.all() if lane.urgent or now >= lane.look_at]

    def seconds_to_next(self, now: float) -> float | None:
        """How long until a lane's pace allows its next state; None: nothing waits."""
        waits = [
            max(0.0, lane.look_at - now)
            for lane in self.all()
            if lane.source is not None and not lane.stale
        ]
        return min(waits) if waits else None

    def executing(self) -> list[Lane]:
        """The lanes of the runs that execute in this process."""
        return [lane for lane in self.all() if isinstance(lane.source, LiveSource)]

    def unsent(self) -> bool:
        """Whether something waits that should not wait for its pace; the lock is held already."""
        return any(lane.events or (lane.urgent and lane.changed) for lane in self._lanes.values())

    def _add(self, lane: Lane) -> None:
        self._lanes[lane.key] = lane
        if lane.source is not None and not isinstance(lane.source, LiveSource):
            self._elsewhere[lane.key] = lane

    def _remove(self, lane: Lane) -> None:
        self._lanes.pop(lane.key, None)
        self._elsewhere.pop(lane.key, None)

    def _bound(self) -> None:
        """Drop the oldest state of a job that doesn't run here, or no longer."""
        if len(self._lanes) <= self._settings.outbox_jobs:
            return
        # The first of each is looked for, and not all of them: a task's start waits meanwhile.
        ended = (lane for lane in self._lanes.values() if lane.source and lane.source.finished())
        victim = next(iter(self._elsewhere.values()), None) or next(ended, None)
        if victim is not None:
            self._remove(victim)
            self._events_waiting -= len(victim.events)
            self._counters.states_dropped += 1
