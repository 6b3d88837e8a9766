"""The journal of one process: for tasks that run beside the node, and for tests.

Nothing waits and nothing fails. What a channel's journal holds is shared by all who open it here;
another process has another one, so a node must be in the process of its tasks.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Final

from bridge.journal.entry import Entry
from bridge.journal.interface import Cancelled, Carrier, Page, Standing, VitalSigns
from bridge.journal.teller import Teller
from bridge.records import RANK, SUCCESS, Publication, Reading, Receipt
from bridge.rooms import ALL_JOBS, split_room
from bridge.settings import Settings

#: Beyond so many jobs the one that was silent for longest is forgotten.
JOBS_KEPT: Final = 10_000
PROMISES_OFF: Final = (
    "other processes: only this one knows its jobs",
    "durability: jobs are forgotten when this process ends",
)


class _Shelf:
    """What is remembered of a channel's jobs, the one that spoke last at the end."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.entries: OrderedDict[str, Entry] = OrderedDict()
        self.spoken_at: dict[str, float] = {}
        self.began: dict[str, int] = {}
        self.beats: dict[str, str] = {}


_shelves: Final[dict[str, _Shelf]] = {}
_opening: Final = threading.Lock()


class MemoryJournal:
    """A `Journal` in this process.

    Args:
        settings: channel, namespace, retention and caps.
        carrier: carries what was stored; None: this one only reads.
    """

    promises_off: Sequence[str] = PROMISES_OFF

    def __init__(self, settings: Settings, carrier: Carrier | None = None) -> None:
        with _opening:
            self._shelf = _shelves.setdefault(settings.channel, _Shelf())
        self._teller = Teller(settings, carrier)
        self._retention = settings.retention
        self._events_kept = settings.events_kept

    def publish(self, publications: Sequence[Publication]) -> list[Receipt]:
        """See `Journal.publish`."""
        with self._shelf.lock:
            return [self._publish(p) for p in publications]

    def read(self, requests: Sequence[tuple[str, int]]) -> list[Reading]:
        """See `Journal.read`."""
        with self._shelf.lock:
            entries = ((self._entry(job), since) for job, since in requests)
            return [
                Reading(None, [], since > 0, 0) if entry is None else entry.read(since)
                for entry, since in entries
            ]

    def list_jobs(self, room: str, limit: int, cursor: str | None = None) -> Page:
        """See `Journal.list_jobs`."""
        with self._shelf.lock:
            self._forget_old()
            found = [
                (entry.epoch, entry.job)
                for entry in self._shelf.entries.values()
                if _is_in(entry, room) and (cursor is None or entry.epoch < int(cursor))
            ]
        page = sorted(found, reverse=True)[:limit]
        more = len(page) == limit and bool(page)
        return Page([job for _, job in page], str(page[-1][0]) if more else None)

    def cancel(self, job: str) -> Cancelled:
        """See `Journal.cancel`."""
        with self._shelf.lock:
            entry = self._entry(job)
            if entry is None:
                return "unknown"
            if entry.rank == RANK[SUCCESS]:
                return "finished"
            entry.cancel = True
            return "ok"

    def renew(self, leases: Sequence[str], seconds: float) -> None:
        """See `Journal.renew`."""
        beat = uuid.uuid4().hex[:12]
        with self._shelf.lock:
            for lease in leases:
                self._shelf.beats.pop(lease, None)
                self._shelf.beats[lease] = beat
            while len(self._shelf.beats) > JOBS_KEPT:
                del self._shelf.beats[next(iter(self._shelf.beats))]

    def standings(self, jobs: Sequence[str]) -> list[Standing]:
        """See `Journal.standings`."""
        with self._shelf.lock:
            return [
                Standing(entry.rev, entry.run_id, entry.cancel, entry.verdict)
                for entry in (self._entry(job) or Entry(job) for job in jobs)
            ]

    def vital_signs(self, jobs: Sequence[str]) -> list[VitalSigns]:
        """See `Journal.vital_signs`."""
        with self._shelf.lock:
            return [
                VitalSigns(
                    entry.job,
                    rev=entry.srev,
                    seq=entry.seq,
                    running=entry.running,
                    waiting=entry.waiting,
                    verdict=entry.verdict,
                    lease=entry.lease,
                    beat=self._shelf.beats.get(entry.lease, ""),
                )
                for entry in (self._entry(job) or Entry(job) for job in jobs)
            ]

    def running(self, limit: int, offset: int = 0) -> list[str]:
        """See `Journal.running`."""
        with self._shelf.lock:
            return list(self._shelf.began)[offset : offset + limit]

    def forget_running(self, jobs: Sequence[str]) -> None:
        """See `Journal.forget_running`."""
        with self._shelf.lock:
            for job in jobs:
                self._shelf.began.pop(job, None)

    def take_turn(self, seconds: float) -> bool:
        """See `Journal.take_turn`: there is no other node."""
        return True

    def announce(self, version: str) -> list[str]:
        """See `Journal.announce`."""
        return [version]

    def ping(self) -> None:
        """See `Journal.ping`."""

    def settle(self, seconds: float) -> bool:
        """See `Journal.settle`."""
        return True

    def close(self) -> None:
        """See `Journal.close`."""
        self._teller.close()

    def forget(self, job: str) -> None:
        """Forget a job, as after its retention."""
        with self._shelf.lock:
            for kept in (self._shelf.entries, self._shelf.spoken_at, self._shelf.began):
                kept.pop(job, None)

    def _publish(self, p: Publication) -> Receipt:
        self._forget_old()
        entry = self._entry(p.job)
        if entry is None:
            entry = Entry(p.job, events=deque(maxlen=self._events_kept))
        receipt = self._teller.tell(entry, p, self._shelf.beats.get(p.lease, ""))
        if entry.rev:
            self._shelf.entries[p.job] = entry
            self._shelf.entries.move_to_end(p.job)
            self._shelf.spoken_at[p.job] = time.monotonic()
            self._note_running(entry)
        return receipt

    def _note_running(self, entry: Entry) -> None:
        if not entry.running or entry.verdict == "FAILURE":
            self._shelf.began.pop(entry.job, None)
        elif self._shelf.began.get(entry.job) != entry.run:
            self._shelf.began.pop(entry.job, None)
            self._shelf.began[entry.job] = entry.run

    def _entry(self, job: str) -> Entry | None:
        spoken_at = self._shelf.spoken_at.get(job)
        if spoken_at is None or time.monotonic() - spoken_at > self._retention:
            self.forget(job)
            return None
        return self._shelf.entries[job]

    def _forget_old(self) -> None:
        while self._shelf.entries:
            oldest = next(iter(self._shelf.entries))
            if len(self._shelf.entries) <= JOBS_KEPT and self._entry(oldest) is not None:
                return
            self.forget(oldest)


def _is_in(entry: Entry, room: str) -> bool:
    kind, ident = split_room(room) or ("", "")
    return room == ALL_JOBS or ident == (entry.root if kind == "root" else entry.user)
