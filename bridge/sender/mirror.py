"""The mirror: the newest states of running jobs, in Celery's result backend.

So `AsyncResult(job).info`, Flower and celery-progress know how far a job is, by no other means than
``update_state``, and as celery-progress writes it. One thread does it, apart from the courier's,
because a result backend may hang for longer than the message queue may wait. It writes at
RATE_IDLE, and never after the end of a run.

That end is Celery's to store. Where it could meet a write of ours, because one was under way as the
task ended, or because the worker's parent ended a run whose process was not dead yet, it is looked
at again some times, and stored again if it is gone.
"""

from __future__ import annotations

import json
import logging
import time
import traceback as tracebacks
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.errors import QueueUnavailable
from bridge.journal.results import Results, stamp
from bridge.journal.scribe import Scribe
from bridge.records import FINAL, OK, PROGRESS, STARTED, SUCCESS, Publication, Receipt
from bridge.sender.pen import Pen
from bridge.settings import Settings

#: The keys of what is mirrored that are ours: the state record, and whose run it tells of.
RECORD: Final = "bridge"
RUN_ID: Final = "bridge_run"
#: When an end that may have been written over is looked at, in seconds after it.
LOOKS: Final = (0.0, 1.0, 5.0, 20.0)
#: Ends that are looked after, and runs that are mirrored, at the most.
KEPT: Final = 10_000

_log = logging.getLogger("bridge.sender")


@dataclass(slots=True, eq=False)
class _Sheet:
    """What is to be written of a run.

    Attributes:
        pen: its right to write; newest: the state that waits; due_at: not before, in monotonic
            seconds.
    """

    pen: Pen
    newest: tuple[Publication, Receipt] | None = None
    due_at: float = float("-inf")


@dataclass(slots=True, eq=False)
class _End:
    """How a run ended, which something may have been written over.

    Attributes:
        pen: who may have written; value state traceback: as Celery stored it; looks: when it is
            still to be looked at, in monotonic seconds.
    """

    pen: Pen
    value: Any
    state: str
    traceback: str | None
    looks: list[float] = field(default_factory=list)


class Mirror:
    """Writes states of runs that execute in this process.

    Args:
        settings: RATE_IDLE.
        results: the result backend of the tasks.
    """

    def __init__(self, settings: Settings, results: Results) -> None:
        self._interval = 1.0 / settings.rate_idle
        self._results = results
        self._sheets: dict[str, _Sheet] = {}
        self._ends: list[_End] = []
        self._busy = False
        self._scribe = Scribe(
            "celery-bridge-mirror", due_in=self._due_in, write=self._write_due,
            meanwhile="states are not mirrored until it is back",
        )  # fmt: skip
        self._changed = self._scribe.changed

    def open(self, pen: Pen) -> None:
        """Take a run that begins."""
        with self._changed:
            self._sheets[pen.run_id] = _Sheet(pen)
            while len(self._sheets) > KEPT:
                del self._sheets[next(iter(self._sheets))]

    def take(self, publications: Sequence[Publication], receipts: Iterable[Receipt]) -> None:
        """Take what was published, as far as it is a state of a run that goes on; never waits."""
        for publication, receipt in zip(publications, receipts, strict=True):
            sheet = self._sheets.get(publication.run_id)
            goes_on = receipt.status == OK and publication.state in (STARTED, PROGRESS)
            if sheet is not None and goes_on:
                with self._changed:
                    sheet.newest = (publication, receipt)
                    self._scribe.kick()

    def look_after(self, pen: Pen, value: Any, state: str) -> None:
        """Have an end looked at that something may be written over; returns at once.

        Args:
            pen: the run's.
            value: its result, or its exception; state: a final state or RETRY.
        """
        text = None
        if isinstance(value, BaseException) and state != SUCCESS:
            text = "".join(tracebacks.format_exception(value))
        now = time.monotonic()
        with self._changed:
            self._ends.append(_End(pen, value, state, text, [now + after for after in LOOKS]))
            del self._ends[:-KEPT]
            self._scribe.kick()

    def settle(self, seconds: float) -> bool:
        """Wait until no write is under way, and each end was looked at once; whether it is so."""
        with self._changed:
            return self._changed.wait_for(self._is_idle, seconds)

    def close(self) -> None:
        """Stop writing, and close the connections; the next state begins anew."""
        self._scribe.close()
        self._results.close()

    def _is_idle(self) -> bool:
        looked_at = all(len(end.looks) < len(LOOKS) for end in self._ends)
        return not self._busy and (looked_at or self._scribe.down)

    def _due_in(self) -> float | None:
        dues = [sheet.due_at for sheet in self._sheets.values() if sheet.newest is not None]
        dues += [end.looks[0] for end in self._ends]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _write_due(self) -> bool:
        with self._changed:
            sheets, ends = self._due()
            self._busy = bool(sheets or ends)
        try:
            for sheet in sheets:
                self._write(sheet)
            for end in ends:
                self._look_at(end)
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
        return bool(sheets or ends)

    def _due(self) -> tuple[list[_Sheet], list[_End]]:
        now = time.monotonic()
        self._sheets = {key: each for key, each in self._sheets.items() if not each.pen.closed}
        waiting = [each for each in self._sheets.values() if each.newest is not None]
        sheets = [sheet for sheet in waiting if sheet.due_at <= now]
        return sheets, [end for end in self._ends if end.looks[0] <= now]

    def _write(self, sheet: _Sheet) -> None:
        pen = sheet.pen
        newest, sheet.newest = sheet.newest, None
        sheet.due_at = time.monotonic() + self._interval
        if newest is None or not pen.take():
            return
        try:
            if self._may_write(pen):
                meta, state = mirrored(*newest)
                self._results.store(pen.job, meta, state, request=pen.request)
        except QueueUnavailable:
            sheet.newest = sheet.newest or newest
            raise
        finally:
            pen.put_down()

    def _may_write(self, pen: Pen) -> bool:
        """Look at what is there: another run of the job may have ended it meanwhile."""
        found = self._results.meta(pen.job)
        if pen.before is None:
            pen.before = stamp(found)
        return found.get("status") not in FINAL or bool(pen.before and stamp(found) == pen.before)

    def _look_at(self, end: _End) -> None:
        found = self._results.meta(end.pen.job)
        mirrors = found.get("result") if found.get("status") in (STARTED, PROGRESS) else None
        if isinstance(mirrors, dict) and mirrors.get(RUN_ID) == end.pen.run_id:
            _log.warning("the outcome of job %s was written over: storing it again", end.pen.job)
            self._results.store(
                end.pen.job, end.value, end.state, request=end.pen.request, traceback=end.traceback
            )
        end.looks.pop(0)
        if not end.looks:
            with self._changed:
                self._ends = [each for each in self._ends if each is not end]


def mirrored(publication: Publication, receipt: Receipt) -> tuple[dict[str, Any], str]:
    """Return what is written of a state, as celery-progress does it, and under which state.

    Args:
        publication: the state; receipt: the numbers that it got.
    """
    record = json.loads("{" + publication.body)
    record |= {"rev": receipt.rev, "run": receipt.run, "last_seq": receipt.seq}
    current, total = record["current"] or 0, record["total"] or 0
    meta = {
        "pending": False,
        "current": current,
        "total": total,
        "percent": round(100 * current / total, 2) if total > 0 else 0,
        "description": record["message"] or record["stage"] or "",
        RECORD: record,
        RUN_ID: publication.run_id,
    }
    return meta, record["state"]
