"""The sweep: every few seconds a node looks whether what it shows is still true.

Pub/sub delivers at most once, and a worker that dies says nothing. So a node compares the jobs that
its clients watch with the journal, and makes up for what it did not hear; and where the worker of a
job has given no beat for one LEASE it asks the result backend, then says LOST, and in the end
FAILURE. Jobs that nobody watches are looked after by one node at a time.

How long a beat is ago only this node's monotonic clock says, from when it saw that beat first: no
other clock is asked, so none can jump. No verdict falls within one LEASE after the journal was
away, because nobody could give a beat then.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from bridge.errors import QueueUnavailable
from bridge.journal import Journal, VitalSigns, open_journal
from bridge.records import (
    FAILURE,
    FINAL,
    LOST,
    OK,
    Publication,
    amended,
    blank_record,
)
from bridge.relay.trails import Place
from bridge.settings import Settings

SWEEP_SECONDS: Final = 2.0
#: A node that did not sweep for so long was asleep itself, and others may have slept with it.
ASLEEP_SECONDS: Final = 3 * SWEEP_SECONDS
#: Jobs looked at in one round trip.
JOBS_A_TRIP: Final = 500
#: A watched job that waits is asked for at the result backend so often, and so many in one sweep:
#: a journal that lost its end together with the worker doesn't know better.
RECONCILE_SECONDS: Final = 15.0
RECONCILED_AT_ONCE: Final = 20
WORKER_LOST: Final = "WorkerLost"

_log = logging.getLogger(__name__)


class Outcomes(Protocol):
    """Knows how jobs ended that the journal believes to run: Celery's result backend."""

    def ended(self, job: str) -> dict[str, Any] | None:
        """Return ``state`` and ``error`` of a job that has ended, None if that isn't known."""


class Followed(Protocol):
    """What the sweep needs of the relay."""

    def followed(self) -> dict[str, Place]:
        """Return the jobs that clients here watch, each with how far they were followed."""

    def make_up(self, job: str) -> None:
        """Read a job anew and pass on what is newer."""


class Beats:
    """How long ago the holders of leases gave their last beats, as seen from here.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[str, float]] = {}
        self._asked: set[str] = set()

    def see(self, signs: Iterable[VitalSigns]) -> None:
        """Take what the journal says."""
        now = self._clock()
        for sign in signs:
            if not sign.running or not sign.lease:
                continue
            self._asked.add(sign.lease)
            beat, _ = self._seen.get(sign.lease, (None, now))
            # One that is gone says nothing of the last beat: the journal, or its clock, may have
            # taken a newer one.
            if sign.beat != beat:
                self._seen[sign.lease] = (sign.beat, now)

    def since(self, lease: str) -> float:
        """When the last beat of a lease was seen first; now, if it was never asked for."""
        return self._seen.get(lease, ("", self._clock()))[1]

    def forget_others(self) -> None:
        """Forget the leases that were not asked for since the last time."""
        self._seen = {lease: seen for lease, seen in self._seen.items() if lease in self._asked}
        self._asked = set()


class Sweep:
    """Looks after jobs, in a thread of its own.

    Args:
        settings: the journal, LEASE and LOST_FINAL.
        relay: whose jobs are compared.
        outcomes: what the result backend knows; None: there is none.
        clock: monotonic seconds, injectable for tests.
        journal: in which it looks and publishes; default: the one that the settings mean.
    """

    def __init__(
        self,
        settings: Settings,
        relay: Followed,
        outcomes: Outcomes | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        journal: Journal | None = None,
    ) -> None:
        self._settings = settings
        self._relay = relay
        self._outcomes = outcomes
        self._clock = clock
        self._journal = journal or open_journal(settings)
        self._nonce = uuid.uuid4().hex[:16]
        self._n = 0
        self._calm_since = clock()
        self._swept_at = clock()
        self._away = False
        self._beats = Beats(clock)
        self._behind: set[str] = set()
        self._waiting: dict[str, float] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="bridge_sweep", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def disturbed(self) -> None:
        """The journal is away, or was: nobody could give a beat, though nobody died."""
        self._away = True

    def sweep(self) -> None:
        """Look once at the jobs that are watched here, and in turn at all others.

        Raises:
            QueueUnavailable: the journal can't be reached.
        """
        now = self._clock()
        self._away = self._away or now - self._swept_at > ASLEEP_SECONDS
        self._swept_at = now
        # A server that is full, or a replica, answers and yet takes no worker's beat: does it ours?
        self._journal.renew([f"sweep-{self._nonce}"], self._settings.lease)
        followed = self._relay.followed()
        jobs = list(followed)
        for start in range(0, len(jobs), JOBS_A_TRIP):
            signs = self._signs(jobs[start : start + JOBS_A_TRIP])
            self._compare(signs, followed)
            self._judge(signs)
            self._reconcile(signs, followed)
            for sign in signs:
                ended = not (sign.running or sign.waiting)
                if ended and sign.rev < followed[sign.job].rev:
                    self._tell_end_again(sign.job, followed[sign.job])
        if self._journal.take_turn(3 * SWEEP_SECONDS):
            self._sweep_others(followed)
        self._beats.forget_others()
        self._behind &= followed.keys()
        self._waiting = {job: at for job, at in self._waiting.items() if job in followed}

    def _work(self) -> None:
        while not self._stopped.wait(SWEEP_SECONDS):
            try:
                self.sweep()
            except QueueUnavailable as error:
                self.disturbed()
                _log.debug("the sweep waits for the journal: %s", error)
            except Exception:  # noqa: BLE001 - the next sweep may do better
                _log.exception("a sweep failed")

    def _signs(self, jobs: Sequence[str]) -> list[VitalSigns]:
        signs = self._journal.vital_signs(jobs)
        if self._away:
            # Not before it is here again: until now nobody had a chance.
            self._away = False
            self._calm_since = self._clock()
        self._beats.see(signs)
        return signs

    def _compare(self, signs: Sequence[VitalSigns], followed: dict[str, Place]) -> None:
        """Make up for messages that were published and not heard, seen so twice in a row."""
        for sign in signs:
            place = followed[sign.job]
            if sign.rev <= place.rev and (sign.seq <= place.seq or place.seq < 0):
                self._behind.discard(sign.job)
            elif sign.job in self._behind:
                self._behind.discard(sign.job)
                self._relay.make_up(sign.job)
            else:
                self._behind.add(sign.job)

    def _sweep_others(self, followed: dict[str, Place]) -> None:
        offset = 0
        while jobs := self._journal.running(JOBS_A_TRIP, offset):
            signs = self._signs([job for job in jobs if job not in followed])
            self._judge(signs)
            self._journal.forget_running([sign.job for sign in signs if not sign.running])
            offset += len(jobs)

    def _judge(self, signs: Sequence[VitalSigns]) -> None:
        latest = self._clock() - self._settings.lease
        if self._calm_since > latest:
            return
        for sign in signs:
            held = sign.running and sign.lease and sign.verdict != FAILURE
            if held and self._beats.since(sign.lease) <= latest:
                self._pronounce(sign)

    def _reconcile(self, signs: Sequence[VitalSigns], followed: dict[str, Place]) -> None:
        """Ask the result backend about jobs that seem to wait, now and then.

        Their end gets the lowest rev that every screen here takes. Where screens have seen more
        than the journal, which was lost, knows, it is the end of the run that they show.
        """
        if self._outcomes is None:
            return
        now = self._clock()
        for sign in signs:
            if not sign.waiting:
                self._waiting.pop(sign.job, None)
        waiting = [sign.job for sign in signs if sign.waiting]
        due = [j for j in waiting if self._waiting.setdefault(j, now + SWEEP_SECONDS) <= now]
        for job in due[:RECONCILED_AT_ONCE]:
            self._waiting[job] = now + RECONCILE_SECONDS
            ended = self._outcomes.ended(job)
            if ended is not None:
                self._tell_end(job, ended, followed[job])

    def _tell_end(self, job: str, ended: dict[str, Any], place: Place) -> None:
        (reading,) = self._journal.read([(job, -1)])
        publication = amended(
            reading.snapshot or blank_record(job, None),
            reading.run_id,
            lambda record: record["state"] not in FINAL and _end(record, ended),
        )
        newer = place.run > (reading.snapshot or {"run": 0})["run"]
        if publication is None or (newer and reading.run_id):
            return  # an older run waits in the journal: no word of ours may supersede its next try
        publication.again, publication.floor = True, max(1, place.rev)
        if newer:
            publication.run_id, publication.run = uuid.uuid4().hex[:16], place.run
        self._publish(publication)

    def _tell_end_again(self, job: str, place: Place) -> None:
        """Lift an end above what screens here have seen of a journal that was lost since."""
        (reading,) = self._journal.read([(job, -1)])
        if reading.snapshot is None or reading.snapshot["rev"] >= place.rev:
            return
        publication = amended(
            reading.snapshot, reading.run_id, lambda record: record["state"] in FINAL
        )
        if publication is None:
            return
        publication.again, publication.floor = True, place.rev
        if not reading.run_id:
            publication.run_id, publication.run = uuid.uuid4().hex[:16], place.run
        self._publish(publication)

    def _pronounce(self, sign: VitalSigns) -> None:
        """Say what became of a job whose worker died."""
        (reading,) = self._journal.read([(sign.job, -1)])
        if reading.snapshot is None or reading.snapshot["rev"] != sign.rev:
            return
        ended = self._outcomes.ended(sign.job) if self._outcomes is not None else None
        publication = amended(
            reading.snapshot, reading.run_id, lambda record: _amend(record, sign, ended, self)
        )
        if publication is None:
            return
        publication.lease, publication.beat = sign.lease, sign.beat
        publication.verdict = ended is None
        self._publish(publication)

    def _publish(self, publication: Publication) -> None:
        self._n += 1
        publication.nonce, publication.n = self._nonce, self._n
        (receipt,) = self._journal.publish([publication])
        if receipt.status == OK:
            how = "its worker died" if publication.verdict else "the result backend says so"
            _log.warning("job %s is %s: %s", publication.job, publication.state, how)

    def may_come_back(self, record: dict[str, Any], now: float) -> bool:
        """Whether the broker may still hand out a job that is LOST."""
        since = record["lost_at"] or now
        return bool(record["redeliverable"]) and now - since < self._settings.lost_final


def _amend(
    record: dict[str, Any], sign: VitalSigns, ended: dict[str, Any] | None, sweep: Sweep
) -> bool:
    if ended is not None:
        return _end(record, ended)
    now = round(time.time(), 3)
    if record["state"] != LOST:
        record |= {"state": LOST, "lost_at": now, "updated_at": now, "rate": None, "eta": None}
        return True
    if sweep.may_come_back(record, now):
        return False
    error = {"type": WORKER_LOST, "message": "the worker that ran this job died"}
    record |= {"state": FAILURE, "error": error, "ended_at": now, "updated_at": now}
    return True


def _end(record: dict[str, Any], ended: dict[str, Any]) -> bool:
    now = round(time.time(), 3)
    record |= {
        **ended, "ended_at": now, "updated_at": now, "stage": None, "eta": None, "lost_at": None,
    }  # fmt: skip
    return True
