"""Celery's result backend as the journal: where there is no Redis, and the message queue carries.

A backend can't decide an order, so who runs a job does: it keeps the job's entry, gives the numbers
and has the messages carried at once, and a thread writes the entry into the backend, at RATE_IDLE
and at each start and end. What others tell of a job (it is queued, its worker's child died) is
written before it is carried. How the task ended only Celery's own result says; whoever reads, reads
that, too.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from bridge.journal.entry import Entry
from bridge.journal.interface import Cancelled, Carrier, Page, Standing, VitalSigns
from bridge.journal.outcome import merged
from bridge.journal.results import Results, outcome_of, stamp
from bridge.journal.scribe import Scribe
from bridge.journal.siblings import Kept, Siblings
from bridge.journal.teller import Teller
from bridge.records import FINAL, OK, PENDING, RANK, RETRY, SUCCESS, Publication, Reading, Receipt
from bridge.settings import Settings

PROMISES_OFF: Final = (
    "replay: past events are not kept; who comes late gets the newest state and what follows",
    "freshness: the state that a late client gets may be a second old",
    "lists: jobs of a user or a workflow are shown from when they next speak, not before",
    "lost workers: a worker that dies with all its processes leaves its jobs as they were",
    "foreign events: emit(job=...) reaches only those who watch just then, and no streams",
    "versions: other versions on the channel are not noticed",
)
#: So often, at RATE_IDLE, the last word of a run is looked at: an older run in another process may
#: just have been about to write.
_LOOKS: Final = 2
#: How long a retry waits at most for the last word of the try before, and how often it looks.
_LAST_TRY_SECONDS: Final = 2.0
_LOOK_AGAIN_SECONDS: Final = 0.02
_PING: Final = "celery-bridge~ping"


@dataclass(slots=True, eq=False)
class _Book:
    """A job that runs here, or just has.

    Attributes:
        kept: what is to be written; version: rises with each change of it; stored: which one the
            backend has; due_at: when that is next written and asked, in monotonic seconds;
            cancelled: whether it says so.
        looks: how often the last word is still looked after.
        foreign: whether another process runs the job by now, so that nothing is written.
    """

    kept: Kept
    version: int = 0
    stored: int = 0
    due_at: float = float("-inf")
    cancelled: bool = False
    looks: int = _LOOKS
    foreign: bool = False

    @property
    def changed(self) -> bool:
        """Whether there is something to write."""
        return self.version != self.stored and not self.foreign


class BackendJournal:
    """A `Journal` in Celery's result backend, whichever it is.

    Args:
        results: the backend.
        settings: channel, namespace and RATE_IDLE.
        carrier: carries what is published; None: this one only reads.
    """

    promises_off: Sequence[str] = PROMISES_OFF

    def __init__(
        self, results: Results, settings: Settings, carrier: Carrier | None = None
    ) -> None:
        self._results = results
        self._siblings = Siblings(results)
        self._teller = Teller(settings, carrier)
        self._interval = 1.0 / settings.rate_idle
        self._limit = settings.outbox_jobs
        self._books: dict[str, _Book] = {}
        self._scribe = Scribe(
            "celery-bridge-scribe", due_in=self._due_in, write=self._tend_due,
            meanwhile="the newest is kept, and stored when it is back",
        )  # fmt: skip
        self._changed = self._scribe.changed

    def publish(self, publications: Sequence[Publication]) -> list[Receipt]:
        """See `Journal.publish`; nothing is told before all that this needs was read."""
        starts = {p.job: p for p in publications if p.lease and self._begins(p)}
        for p in starts.values():
            self._open(p)
        return [self._publish(p) for p in publications]

    def read(self, requests: Sequence[tuple[str, int]]) -> list[Reading]:
        """See `Journal.read`."""
        return [self._read(job, since) for job, since in requests]

    def list_jobs(self, room: str, limit: int, cursor: str | None = None) -> Page:
        """See `Journal.list_jobs`: nothing is listed."""
        return Page([], None)

    def cancel(self, job: str) -> Cancelled:
        """See `Journal.cancel`."""
        kept = self._known(job)
        ended = outcome_of(self._results.meta(job), "" if kept is None else kept.told_end)
        if ended is not None or (kept is not None and kept.entry.rank == RANK[SUCCESS]):
            return "finished"
        if kept is None:
            return "unknown"
        self._siblings.cancel(job, kept.entry.rev)
        with self._changed:
            if job in self._books:
                self._books[job].cancelled = True
        return "ok"

    def renew(self, leases: Sequence[str], seconds: float) -> None:
        """See `Journal.renew`: there are no leases."""

    def standings(self, jobs: Sequence[str]) -> list[Standing]:
        """See `Journal.standings`."""
        return [self._standing(job) for job in jobs]

    def vital_signs(self, jobs: Sequence[str]) -> list[VitalSigns]:
        """See `Journal.vital_signs`: there is no sign of life, so nobody is taken for dead."""
        signs = []
        for job in jobs:
            entry, _ = self._entry(job)
            signs.append(
                VitalSigns(
                    job, rev=entry.srev, seq=entry.seq, running=entry.running,
                    waiting=entry.waiting, verdict="", lease="", beat="",
                )
            )  # fmt: skip
        return signs

    def running(self, limit: int, offset: int = 0) -> list[str]:
        """See `Journal.running`: nothing is listed."""
        return []

    def forget_running(self, jobs: Sequence[str]) -> None:
        """See `Journal.forget_running`."""

    def take_turn(self, seconds: float) -> bool:
        """See `Journal.take_turn`: there is nothing to look after."""
        return False

    def announce(self, version: str) -> list[str]:
        """See `Journal.announce`."""
        return [version]

    def ping(self) -> None:
        """See `Journal.ping`."""
        self._results.meta(_PING)

    def settle(self, seconds: float) -> bool:
        """See `Journal.settle`."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not any(book.changed for book in self._books.values()), seconds
            )

    def close(self) -> None:
        """See `Journal.close`."""
        self._scribe.close()
        self._teller.close()
        self._results.close()

    def _begins(self, p: Publication) -> bool:
        """Whether this is the first word of a run that this process does not know yet."""
        book = self._books.get(p.job)
        if book is None:
            return True
        entry = book.kept.entry
        return p.run_id != entry.run_id and p.run_id not in entry.older

    def _open(self, p: Publication) -> None:
        """Read what is known of a job, before a run of it is told."""
        told_end = "" if p.ended else stamp(self._results.meta(p.job))
        kept = self._load_for_try(p)
        asked = self._siblings.cancelled_at(p.job)
        with self._changed:
            book = self._books.get(p.job)
            if book is None or book.foreign or book.kept.entry.rev < kept.entry.rev:
                book = self._books[p.job] = _Book(kept)
            if book.kept.entry.rank == RANK[SUCCESS]:
                book.kept.calm = book.kept.entry.rev
            book.kept.told_end = told_end
            book.looks = _LOOKS
            book.cancelled = asked > book.kept.calm
            self._bound()

    def _load_for_try(self, p: Publication) -> Kept:
        """Load what is known; after a retry, with the last word of the try before.

        With ``countdown=0`` this one may begin, in another process, before that one's end is
        stored. Its events would then be counted anew, and its line be missing among the runs.
        """
        end = time.monotonic() + _LAST_TRY_SECONDS
        while True:
            kept = self._siblings.load(p.job) or Kept(Entry(p.job))
            entry = kept.entry
            told = entry.attempt >= p.attempt - 1 and entry.rank >= RANK[RETRY]
            if told or not p.attempt or self._tried_here(p) or time.monotonic() > end:
                return kept
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _tried_here(self, p: Publication) -> bool:
        """Whether the try before runs in this process, which has not told its end yet."""
        book = self._books.get(p.job)
        if book is None or book.foreign:
            return False
        return book.kept.entry.attempt >= p.attempt - 1

    def _bound(self) -> None:
        for job in [job for job, book in self._books.items() if not book.changed]:
            if len(self._books) <= self._limit:
                return
            del self._books[job]

    def _publish(self, p: Publication) -> Receipt:
        with self._changed:
            book = self._books.get(p.job)
            if book is not None and p.run_id:
                return self._publish_here(book, p)
        return self._publish_for_others(p)

    def _publish_here(self, book: _Book, p: Publication) -> Receipt:
        entry = book.kept.entry
        before = entry.run_id
        receipt = self._teller.tell(entry, p)
        if receipt.status == OK or p.run_id in entry.older:
            book.version += 1
            if p.state in FINAL or p.state == RETRY or before != entry.run_id:
                book.due_at = float("-inf")
            self._scribe.kick()
        return replace(receipt, cancel=book.cancelled)

    def _publish_for_others(self, p: Publication) -> Receipt:
        """Tell something of a job that does not run here: written first, then carried."""
        known = self._siblings.load(p.job) or Kept(Entry(p.job))
        kept = copy.deepcopy(known)
        receipt, payload = self._teller.store(kept.entry, p)
        if kept != known:
            self._siblings.save(kept, queued=p.state == PENDING)
        return self._teller.carry(kept.entry, p, receipt, payload)

    def _read(self, job: str, since: int) -> Reading:
        entry, snapshot = self._entry(job)
        gap = since > entry.seq or 0 <= since < entry.seq
        return Reading(snapshot, [], gap, entry.seq, entry.run_id)

    def _entry(self, job: str) -> tuple[Entry, dict[str, Any] | None]:
        """Return what is known, with the end that Celery has stored."""
        meta = self._results.meta(job)
        return merged(job, self._known(job), meta)

    def _known(self, job: str) -> Kept | None:
        """Return what is known of a job: here, if it runs here, else in the backend."""
        with self._changed:
            book = self._books.get(job)
            if book is not None:
                return copy.deepcopy(book.kept)
        return self._siblings.load(job)

    def _standing(self, job: str) -> Standing:
        book = self._books.get(job)
        if book is not None:
            entry = book.kept.entry
            return Standing(entry.rev, entry.run_id, book.cancelled, "")
        kept = self._siblings.load(job)
        if kept is None:
            return Standing(0, "", False, "")
        cancelled = self._siblings.cancelled_at(job) > kept.calm
        return Standing(kept.entry.rev, kept.entry.run_id, cancelled, "")

    def _due_in(self) -> float | None:
        dues = [book.due_at for book in self._books.values()]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _tend_due(self) -> bool:
        with self._changed:
            now = time.monotonic()
            due = [book for book in self._books.values() if book.due_at <= now]
        for book in due:
            self._tend(book)
        return bool(due)

    def _tend(self, book: _Book) -> None:
        """Write a job's entry, unless a newer run has, and look whether it is to stop."""
        job = book.kept.entry.job
        stored = self._siblings.load(job)
        with self._changed:
            book.due_at = time.monotonic() + self._interval
            if stored is not None and (book.foreign or _is_newer(stored.entry, book.kept.entry)):
                _give_way(book, stored)
            saved, version, foreign = copy.deepcopy(book.kept), book.version, book.foreign
        if not foreign and (version != book.stored or not _is_there(stored, saved.entry)):
            self._siblings.save(saved)
            book.stored = version
        asked = self._siblings.cancelled_at(job)
        with self._changed:
            book.cancelled = asked > book.kept.calm
            if not book.kept.entry.running and not book.changed:
                book.looks -= 1
                if book.looks < 0 and self._books.get(job) is book:
                    del self._books[job]
            self._changed.notify_all()


def _is_there(stored: Kept | None, ours: Entry) -> bool:
    """Whether what was written is still there, and not what an older run wrote over it."""
    return (
        stored is not None and stored.entry.run_id == ours.run_id and stored.entry.rev >= ours.rev
    )


def _is_newer(stored: Entry, ours: Entry) -> bool:
    """Whether another run has begun over ours; both sides decide alike."""
    if stored.run_id == ours.run_id or stored.run_id in ours.older:
        return False
    return _age(stored) > _age(ours)


def _age(entry: Entry) -> tuple[int, int, bool, str]:
    return entry.run, entry.attempt, entry.redelivered, entry.run_id


def _give_way(book: _Book, stored: Kept) -> None:
    """Take over what the newer run says; what ours still says is refused from now on."""
    ours = book.kept.entry
    older = {**ours.older, ours.run_id: ours.run, **stored.entry.older}
    older.pop(stored.entry.run_id, None)
    stored.entry.older = older
    book.kept = stored
    book.foreign = True
