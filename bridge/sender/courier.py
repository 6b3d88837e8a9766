"""The courier: the sender thread, which takes what is due out of the lanes and brings it away."""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from bridge.errors import QueueUnavailable
from bridge.records import AGAIN, BROKEN, OK, STALE, Publication, Receipt
from bridge.sender.calls import Calls
from bridge.sender.lane import AmendedSource, Lane, LiveSource, is_end
from bridge.sender.lanes import Counters, Lanes
from bridge.sender.lease import RENEWALS, own_lease
from bridge.sender.sink import Sink
from bridge.settings import Settings, hide_credentials

BACKOFF_FIRST: Final = 0.05
BACKOFF_LAST: Final = 2.0
BATCH: Final = 500
#: After so long without a word of the journal about a job that runs here, it is asked.
ASK_SECONDS: Final = 0.75
#: Ends as new as this are told again to a journal that was away, for it may have lost them; what
#: is older is forgotten, with all that its run held.
ENDS_KEPT_SECONDS: Final = 10.0
ENDS_KEPT: Final = 200
#: How often an amendment is tried against states that change under it.
AMENDMENT_TRIES: Final = 10

_log = logging.getLogger("bridge.sender")
# Of its own: the global one belongs to the user's task, which may have seeded it.
_random = random.Random()


@dataclass
class _Batch:
    """Publications on their way, each with its lane; kept as it is until the reply is known."""

    items: list[tuple[Lane, Publication]] = field(default_factory=list)

    def publications(self) -> list[Publication]:
        return [publication for _, publication in self.items]


@dataclass(slots=True)
class _Ended:
    """A lane whose last word the journal has taken, and will hopefully keep."""

    lane: Lane
    told_at: float
    found: bool = False


class Courier:
    """Sends what waits in lanes, in one daemon thread.

    Args:
        settings: LEASE, and the journal's name for the log.
        sink: sends.
        lanes: what waits.
        lock: the lanes' lock; `settled` is notified under it.
        counters: counts what happens.

    Attributes:
        down: whether the queue is known to be away.
        settled: notified whenever something was answered, or the queue has gone away.
        calls: what is sent past the journal.
    """

    def __init__(
        self,
        settings: Settings,
        sink: Sink,
        lanes: Lanes,
        lock: threading.Lock,
        counters: Counters,
    ) -> None:
        self._settings = settings
        self._sink = sink
        self._lanes = lanes
        self._lock = lock
        self._counters = counters
        self._nonce = uuid.uuid4().hex[:16]
        self._n = 0
        self._lease = own_lease()
        self._renew_at = self._ask_at = float("-inf")
        self._in_flight: _Batch | None = None
        self._ended: deque[_Ended] = deque(maxlen=ENDS_KEPT)
        self._backoff = BACKOFF_FIRST
        self._trip_began: float | None = None
        self._trip_seconds = 0.0
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._told_dropped = 0
        self.down = False
        self.settled = threading.Condition(lock)
        self.calls = Calls(settings.outbox_jobs)

    def kick(self) -> None:
        """Have the lanes looked at now; starts the thread the first time."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._loop, name="celery-bridge-sender", daemon=True
                    )
                    self._thread.start()
        if not self._wake.is_set():
            self._wake.set()

    def answers_within(self, seconds: float) -> bool:
        """Whether there is hope of an answer in that time, by how long others take or took."""
        began = self._trip_began
        under_way = 0.0 if began is None else time.monotonic() - began
        return not self.down and max(under_way, self._trip_seconds) <= seconds

    @property
    def busy(self) -> bool:
        """Whether something is on its way, or waits past the lanes."""
        return bool(self.calls or self._in_flight)

    def settle(self, seconds: float) -> bool:
        """See `Sink.settle`."""
        return self._sink.settle(seconds)

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
            self.tell_dropped()

    def tell_dropped(self, *, finally_: bool = False) -> None:
        """Log how much was dropped: the first time, whenever it has doubled, and in the end."""
        dropped = self._counters.dropped
        if dropped == self._told_dropped or (dropped < 2 * self._told_dropped and not finally_):
            return
        self._told_dropped = dropped
        _log.warning(
            "so far %d events and %d states were dropped, the oldest first, because more came than "
            "is kept for sending (EVENTS_KEPT=%d a job, OUTBOX_JOBS=%d); watchers are told the gap",
            self._counters.events_dropped, self._counters.states_dropped,
            self._settings.events_kept, self._settings.outbox_jobs,
        )  # fmt: skip

    def _next_due(self) -> float | None:
        now = time.monotonic()
        wait = self._lanes.seconds_to_next(now)
        then = [] if wait is None else [now + wait]
        if self._lanes.executing():
            then += [self._renew_at, self._ask_at]
        elif self._ended:
            then.append(max(self._ask_at, self._ended[-1].told_at + ASK_SECONDS))
        if self.calls:
            then.append(self.calls.due_at)
        return max(0.0, min(then) - now) if then else None

    def _pass(self) -> None:
        """Send what is due, batch by batch."""
        # Before a first state is told, so that no run is ever seen without its lease.
        self._renew_lease()
        # What came while an earlier pass failed had woken that one.
        more = self._in_flight is not None
        if not more:
            self._in_flight = self._gather()
        while self._in_flight is not None:
            with self._trip():
                receipts = self._sink.publish(self._in_flight.publications())
            self._came_back()
            refused = self._settle(self._in_flight, receipts)
            more = more or len(self._in_flight.items) >= BATCH
            self._in_flight = None
            if refused:
                raise QueueUnavailable(refused)
            # What has come meanwhile has woken the thread for its next pass.
            self._in_flight, more = self._gather() if more else None, False
        self.calls.make(self._sink)
        self._ask_after()
        self._came_back()
        with self.settled:
            self.settled.notify_all()

    @contextmanager
    def _trip(self) -> Iterator[None]:
        """Note how long a way to the queue and back takes."""
        self._trip_began = began = time.monotonic()
        try:
            yield
        finally:
            self._trip_began = None
            self._trip_seconds = time.monotonic() - began

    def _renew_lease(self) -> None:
        now = time.monotonic()
        if now < self._renew_at or not self._lanes.executing():
            return
        seconds = self._settings.lease
        with self._trip():
            self._sink.journal.renew([self._lease], seconds)
        self._renew_at = now + seconds / RENEWALS

    def _ask_after(self) -> None:
        """Ask how jobs stand that had nothing to tell, and so got no answer either.

        A silent task hears of a cancel this way; and a journal that was lost, or a sweep that took
        a silent worker for a dead one, hears of the task. The newest end is asked after for as long
        as ends are kept: a worker that is idle would not notice that the journal was away.
        """
        now = time.monotonic()
        if now < self._ask_at:
            return
        self._ask_at = now + ASK_SECONDS
        while self._ended and now - self._ended[0].told_at >= ENDS_KEPT_SECONDS:
            self._ended.popleft()
        silent = [lane for lane in self._lanes.executing() if now - lane.heard_at >= ASK_SECONDS]
        ended = [
            each
            for each in self._ended
            if now - each.told_at >= ASK_SECONDS and (not each.found or each is self._ended[-1])
        ]
        lanes = silent + [each.lane for each in ended]
        if not lanes:
            return
        with self._trip():
            standings = self._sink.journal.standings([lane.job for lane in lanes])
        for lane, standing in zip(lanes, standings, strict=True):
            lane.heard_at = now
            if standing.cancel:
                _cancel(lane)
            if lane.stale or not lane.acknowledged:
                continue
            if standing.rev < lane.floor or (standing.verdict and standing.run_id == lane.key):
                self._tell_again(lane)
            if standing.rev < lane.floor and lane.complete:
                self._tell_ends_again()
        for each in ended:
            each.found = True

    def _tell_again(self, lane: Lane) -> None:
        lane.send_again()
        self._lanes.restore(lane)
        self._wake.set()

    def _tell_ends_again(self) -> None:
        """The journal is away, and what it took last it may not have when it is back."""
        while self._ended:
            each = self._ended.pop()
            if time.monotonic() - each.told_at < ENDS_KEPT_SECONDS:
                self._tell_again(each.lane)

    def _drop_in_flight(self) -> None:
        """Give up a batch that raises what waiting can't heal, so that the next ones get out."""
        if self._in_flight is not None:
            self._counters.broken += len(self._in_flight.items)
            self._in_flight = None
        time.sleep(BACKOFF_FIRST)

    def _gather(self) -> _Batch | None:
        now = time.monotonic()
        batch = _Batch()
        for lane in self._lanes.due(now):
            try:
                self._take(lane, batch, now)
            except QueueUnavailable:
                if not batch.items:
                    raise
                break
            except Exception:  # noqa: BLE001 - one job's trouble must not be that of the others
                self._counters.broken += 1
                _log.exception("a state of job %s can't be sent", lane.job)
            if len(batch.items) >= BATCH:
                break
        self._lanes.forget_done({id(lane) for lane, _ in batch.items})
        return batch if batch.items else None

    def _take(self, lane: Lane, batch: _Batch, now: float) -> None:
        lane.look_at = now + self._lanes.interval(lane)
        try:
            state = None if lane.stale else lane.take_state(self._sink.journal)
        except QueueUnavailable:
            lane.look_at = now
            raise
        events = self._lanes.take_events(lane, BATCH - len(batch.items))
        if state is None:
            taken = events
        elif not is_end(state):
            taken = [state, *events]
        elif lane.events:
            # The end comes after all events, and these are more than this batch has room for.
            lane.send_again()
            taken = events
        else:
            taken = [*events, state]
        for publication in taken:
            self._stamp(lane, publication)
            batch.items.append((lane, publication))

    def _stamp(self, lane: Lane, publication: Publication) -> None:
        self._n += 1
        publication.n = self._n
        publication.nonce = self._nonce
        publication.run = lane.run
        # Once the journal knows a run, only the run's number speaks for it: a run that was
        # superseded must not open another one.
        publication.start = publication.start and lane.run == 0 and lane.source is not None
        publication.floor, publication.seq_floor = lane.floor, lane.seq_floor
        publication.again = lane.complete
        if isinstance(lane.source, LiveSource):
            publication.lease = self._lease
            publication.ended = lane.source.finished()
            publication.redelivered = lane.source.progress.run.redelivered

    def _settle(self, batch: _Batch, receipts: Iterable[Receipt]) -> str:
        """Note the answers; returns the reason if the server refused some for now."""
        refused: list[tuple[Lane, Publication]] = []
        reason = ""
        with self.settled:
            for (lane, publication), receipt in zip(batch.items, receipts, strict=True):
                if receipt.status == AGAIN:
                    refused.append((lane, publication))
                    reason = receipt.reason
                else:
                    self._note(lane, publication, receipt)
            self.settled.notify_all()
        self._lanes.give_back(refused)
        return reason

    def _note(self, lane: Lane, publication: Publication, receipt: Receipt) -> None:
        if receipt.status == BROKEN:
            self._counters.broken += 1
            _log.error("a %s of job %s was dropped: %s", publication.kind, lane.job, receipt.reason)
            return
        self._counters.published += receipt.status == OK
        if receipt.status != STALE and lane.is_last_word(publication):
            self._ended.append(_Ended(lane, time.monotonic()))
            lane.complete = True
        if receipt.rev > lane.floor:
            lane.floor, lane.seq_floor = receipt.rev, receipt.seq
        lane.heard_at = time.monotonic()
        lane.acknowledged = True
        if receipt.cancel:
            _cancel(lane)
        if isinstance(lane.source, AmendedSource):
            self._note_amendment(lane, receipt)
            return
        if receipt.status == STALE:
            self._counters.stale += 1
            lane.stale = bool(publication.run_id)
            return
        lane.run = receipt.run if publication.run_id else 0
        lane.receivers = receipt.receivers

    def _note_amendment(self, lane: Lane, receipt: Receipt) -> None:
        if receipt.status == STALE and lane.tries < AMENDMENT_TRIES:
            lane.tries += 1
            lane.send_again()

    def _went_away(self, error: QueueUnavailable) -> None:
        if not self.down:
            self.down = True
            self._counters.outages += 1
            self._tell_ends_again()
            _log.warning(
                "%s; the newest states and the events are kept and sent when it is back (%s)",
                error, hide_credentials(self._settings.journal_url),
            )  # fmt: skip
            with self.settled:
                self.settled.notify_all()
        time.sleep(_random.uniform(self._backoff / 2, self._backoff))
        # Not so long that a lease runs out while the queue is back already.
        self._backoff = min(BACKOFF_LAST, self._backoff * 2, self._settings.lease / RENEWALS)
        self._wake.set()

    def _came_back(self) -> None:
        self._backoff = BACKOFF_FIRST
        if self.down:
            self.down = False
            _log.warning("the message queue is back")


def _cancel(lane: Lane) -> None:
    if isinstance(lane.source, LiveSource):
        lane.source.progress.cancel_requested = True
