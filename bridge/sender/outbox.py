"""The outbox: between the task, which never waits, and the queue, which may be away.

One daemon thread a process sends; it is started on first use, and anew after a fork. A lane holds
the newest state of a run and its events in order; all of it is bounded.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from bridge.errors import QueueUnavailable
from bridge.journal import Journal
from bridge.records import AGAIN, BROKEN, OK, STALE, Publication, Receipt
from bridge.sender.lane import AmendedSource, Lane, LiveSource, Source, is_end
from bridge.sender.progress import Progress
from bridge.settings import Settings, hide_credentials

BACKOFF_FIRST: Final = 0.05
BACKOFF_LAST: Final = 2.0
BATCH: Final = 500
#: How often an amendment is tried against states that change under it.
AMENDMENT_TRIES: Final = 10

_log = logging.getLogger("bridge.sender")


class Sink(Protocol):
    """What the outbox sends through; `bridge.sender.emitter.Emitter` is the real one."""

    @property
    def journal(self) -> Journal:
        """For reading what is amended."""

    def publish(self, publications: list[Publication]) -> list[Receipt]:
        """Journal and publish, in order; raises QueueUnavailable."""

    def send(self, name: str, data: object, *, to: str, namespace: str) -> None:
        """Emit past the journal; raises QueueUnavailable."""

    def join(self, sid: str, namespace: str, job: str) -> None:
        """Make a client a member of a job's room; raises QueueUnavailable."""


@dataclass
class Counters:
    """What an outbox has seen, for logs and metrics."""

    published: int = 0
    events_dropped: int = 0
    states_dropped: int = 0
    broken: int = 0
    stale: int = 0
    outages: int = 0


@dataclass
class _Batch:
    """Publications on their way, each with its lane; kept as it is until the reply is known."""

    items: list[tuple[Lane, Publication]] = field(default_factory=list)

    def publications(self) -> list[Publication]:
        return [publication for _, publication in self.items]


class Outbox:
    """Takes states and events from tasks and sends them at their pace.

    No method that a task calls waits for the network, but for `wait_started` and `flush`, which
    say how long.

    Args:
        settings: rates and bounds.
        sink: sends; it connects with its first message.
    """

    def __init__(self, settings: Settings, sink: Sink) -> None:
        self._settings = settings
        self._sink = sink
        self._lanes: dict[str, Lane] = {}
        self._calls: deque[Callable[[Sink], None]] = deque()
        self._in_flight: _Batch | None = None
        self._events_waiting = 0
        self._nonce = uuid.uuid4().hex[:16]
        self._n = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._settled = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._backoff = BACKOFF_FIRST
        self.down = False
        self.counters = Counters()

    def open(self, progress: Progress) -> Lane:
        """Take a run that begins; its states are sampled from here on until it has ended."""
        return self._put(progress.run.run_id, progress.job, LiveSource(progress))

    def put(self, job: str, source: Source) -> Lane:
        """Take one state of a job that doesn't run here."""
        return self._put(f"{type(source).__name__}:{job}", job, source)

    def event(self, publication: Publication) -> None:
        """Take an event; with too many waiting the lane's oldest is dropped and counted."""
        key = publication.run_id or f"job:{publication.job}"
        with self._lock:
            lane = self._lanes.get(key)
            if lane is None:
                lane = self._lanes[key] = Lane(key, publication.job)
            lane.events.append(publication)
            self._events_waiting += 1
            crowded = self._events_waiting > self._settings.outbox_jobs
            if len(lane.events) > self._settings.events_kept or (crowded and len(lane.events) > 1):
                lane.events.popleft()
                lane.skipped += 1
                self._events_waiting -= 1
                self.counters.events_dropped += 1
        self._kick()

    def call(self, action: Callable[[Sink], None]) -> None:
        """Take something else to be sent, such as an event to a sid; in order among themselves."""
        with self._lock:
            self._calls.append(action)
            while len(self._calls) > self._settings.outbox_jobs:
                self._calls.popleft()
                self.counters.events_dropped += 1
        self._kick()

    def ended(self) -> None:
        """Tell that a run has ended, so that its last state goes at once."""
        self._kick()

    def wait_acknowledged(self, lane: Lane, seconds: float) -> None:
        """Wait until the journal answered to the lane's first state; not while it is away."""
        end = time.monotonic() + seconds
        with self._settled:
            while not (lane.acknowledged or lane.stale or self.down):
                left = end - time.monotonic()
                if left <= 0:
                    return
                self._settled.wait(left)

    def flush(self, seconds: float) -> bool:
        """Wait until all that was taken is sent; not while the queue is known to be away.

        Returns:
            Whether nothing is left.
        """
        end = time.monotonic() + seconds
        self._kick()
        with self._settled:
            while self._pending():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._settled.wait(min(left, 0.05))
        return True

    def _pending(self) -> bool:
        if self._calls or self._in_flight:
            return True
        return any(lane.events or (lane.urgent and lane.changed) for lane in self._lanes.values())

    def _put(self, key: str, job: str, source: Source) -> Lane:
        with self._lock:
            lane = self._lanes.get(key)
            if lane is None or lane.source is not None:
                lane = Lane(key, job, source)
                if key in self._lanes:
                    key = f"{key}#{id(lane)}"
                    lane.key = key
                self._lanes[key] = lane
                self._bound()
            else:
                lane.source = source
        self._kick()
        return lane

    def _bound(self) -> None:
        """Drop states of jobs that don't run here, the oldest unfinished first."""
        if len(self._lanes) <= self._settings.outbox_jobs:
            return
        idle = [lane for lane in self._lanes.values() if lane.source and lane.source.finished()]
        victim = next((lane for lane in idle if not isinstance(lane.source, LiveSource)), None)
        victim = victim or next(iter(idle), None)
        if victim is not None:
            del self._lanes[victim.key]
            self._events_waiting -= len(victim.events)
            self.counters.states_dropped += 1

    def _kick(self) -> None:
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._loop, name="celery-bridge-sender", daemon=True
                    )
                    self._thread.start()
        if not self._wake.is_set():
            self._wake.set()

    # The sender thread, from here on.

    def _loop(self) -> None:
        while True:
            self._wake.wait(self._next_due())
            self._wake.clear()
            try:
                self._pass()
            except QueueUnavailable as error:
                self._went_away(error)
            except Exception:  # noqa: BLE001 - the thread must outlive whatever it met
                _log.exception("the sender thread met an error, drops what it sent, and goes on")
                self._drop_in_flight()

    def _drop_in_flight(self) -> None:
        """Give up a batch that raises what waiting can't heal, so that the next ones get out."""
        if self._in_flight is not None:
            self.counters.broken += len(self._in_flight.items)
            self._in_flight = None

    def _next_due(self) -> float | None:
        """Seconds until a lane's pace allows its next state; None: until something is put in."""
        now = time.monotonic()
        with self._lock:
            waits = [
                max(0.0, lane.sent_at + self._interval(lane) - now)
                for lane in self._lanes.values()
                if lane.source is not None and not lane.stale
            ]
        return min(waits) if waits else None

    def _interval(self, lane: Lane) -> float:
        settings = self._settings
        return 1.0 / (settings.rate_watched if lane.receivers else settings.rate_idle)

    def _pass(self) -> None:
        """Send what is due, batch by batch."""
        if self._in_flight is None:
            self._in_flight = self._gather()
        while self._in_flight is not None:
            receipts = self._sink.publish(self._in_flight.publications())
            self._came_back()
            refused = self._settle(self._in_flight, receipts)
            self._in_flight = None
            if refused:
                raise QueueUnavailable(refused)
            self._in_flight = self._gather()
        self._make_calls()
        self._came_back()
        with self._settled:
            self._settled.notify_all()

    def _make_calls(self) -> None:
        while self._calls:
            action = self._calls.popleft()
            try:
                action(self._sink)
            except QueueUnavailable:
                self._calls.appendleft(action)
                raise

    def _gather(self) -> _Batch | None:
        now = time.monotonic()
        with self._lock:
            lanes = list(self._lanes.values())
        batch = _Batch()
        for lane in lanes:
            if lane.urgent or now >= lane.sent_at + self._interval(lane):
                try:
                    self._take(lane, batch, now)
                except QueueUnavailable:
                    if not batch.items:
                        raise
                    break
            if len(batch.items) >= BATCH:
                break
        self._forget_done(lanes, batch)
        return batch if batch.items else None

    def _forget_done(self, lanes: list[Lane], batch: _Batch) -> None:
        taken = {id(lane) for lane, _ in batch.items}
        with self._lock:
            for lane in lanes:
                if lane.done and id(lane) not in taken:
                    self._lanes.pop(lane.key, None)

    def _take(self, lane: Lane, batch: _Batch, now: float) -> None:
        state = None if lane.stale else lane.take_state(self._sink.journal)
        events = self._take_events(lane, BATCH - len(batch.items))
        if state is None:
            taken = events
        elif not is_end(state):
            taken = [state, *events]
        elif lane.events:
            # The end comes after all events, and these are more than this batch has room for.
            lane.state_was_not_stored()
            state, taken = None, events
        else:
            taken = [*events, state]
        if state is not None:
            lane.sent_at = now
        for publication in taken:
            self._stamp(lane, publication)
            batch.items.append((lane, publication))

    def _take_events(self, lane: Lane, room: int) -> list[Publication]:
        taken: list[Publication] = []
        with self._lock:
            while lane.events and len(taken) < room:
                event = lane.events.popleft()
                self._events_waiting -= 1
                if not lane.stale:
                    event.skipped, lane.skipped = lane.skipped, 0
                    taken.append(event)
        return taken

    def _stamp(self, lane: Lane, publication: Publication) -> None:
        self._n += 1
        publication.n = self._n
        publication.nonce = self._nonce
        publication.run = lane.run
        # Once the journal knows a run, only the run's number speaks for it: a run that was
        # superseded must not open another one.
        publication.start = publication.start and lane.run == 0 and lane.source is not None
        publication.floor = lane.floor

    def _settle(self, batch: _Batch, receipts: Iterable[Receipt]) -> str:
        """Note the answers; returns the reason if the server refused some for now."""
        refused = ""
        with self._settled:
            for (lane, publication), receipt in zip(batch.items, receipts, strict=True):
                refused = self._note(lane, publication, receipt) or refused
            self._settled.notify_all()
        return refused

    def _note(self, lane: Lane, publication: Publication, receipt: Receipt) -> str:
        if receipt.status == AGAIN:
            self._give_back(lane, publication)
            return receipt.reason
        if receipt.status == BROKEN:
            self.counters.broken += 1
            _log.error("a %s of job %s was dropped: %s", publication.kind, lane.job, receipt.reason)
            return ""
        self.counters.published += receipt.status == OK
        lane.floor = max(lane.floor, receipt.rev)
        lane.acknowledged = True
        if isinstance(lane.source, AmendedSource):
            self._note_amendment(lane, receipt)
            return ""
        if receipt.status == STALE:
            self.counters.stale += 1
            lane.stale = bool(publication.run_id)
            return ""
        lane.run = receipt.run if publication.run_id else 0
        lane.receivers = receipt.receivers
        if receipt.cancel and isinstance(lane.source, LiveSource):
            lane.source.progress.cancel_requested = True
        return ""

    def _note_amendment(self, lane: Lane, receipt: Receipt) -> None:
        if receipt.status == STALE and lane.tries < AMENDMENT_TRIES:
            lane.tries += 1
            lane.state_was_not_stored()
            lane.sent_at = float("-inf")

    def _give_back(self, lane: Lane, publication: Publication) -> None:
        if publication.kind == "state":
            lane.state_was_not_stored()
            lane.sent_at = float("-inf")
            return
        lane.events.append(publication)
        self._events_waiting += 1

    def _went_away(self, error: QueueUnavailable) -> None:
        if not self.down:
            self.down = True
            self.counters.outages += 1
            _log.warning(
                "%s; the newest states and the events are kept and sent when it is back (%s)",
                error, hide_credentials(self._settings.journal_url),
            )  # fmt: skip
            with self._settled:
                self._settled.notify_all()
        time.sleep(random.uniform(self._backoff / 2, self._backoff))
        self._backoff = min(BACKOFF_LAST, self._backoff * 2)
        self._wake.set()

    def _came_back(self) -> None:
        self._backoff = BACKOFF_FIRST
        if self.down:
            self.down = False
            _log.warning("the message queue is back")
