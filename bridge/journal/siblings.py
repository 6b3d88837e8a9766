"""Siblings: what the bridge keeps of a job in Celery's result backend, beside the task's result.

Celery writes over a task's own entry whenever it likes, and no backend can compare and set. So each
sibling has one kind of writer: ``~bridge`` who runs the job, ``~queued`` who starts it, ``~cancel``
the nodes. They work with every backend, and expire as results do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.journal.entry import Entry
from bridge.journal.results import Results

#: The state under which siblings are stored; none of Celery's, so that no backend guards it.
STATE: Final = "BRIDGE"
#: Of the column in Celery's tables, in characters.
_ID_CHARS: Final = 155
_FIELDS: Final = (
    "rev", "srev", "run", "run_id", "attempt", "redelivered", "rank", "seq", "epoch", "tail",
    "current", "past", "older", "root", "user",
)  # fmt: skip


@dataclass(slots=True)
class Kept:
    """What is kept of a job.

    Attributes:
        entry: all but its events; told_end: the stamp of the end that Celery had stored when the
            current run began; calm: who asked to cancel at or before this rev meant an earlier run.
    """

    entry: Entry
    told_end: str = ""
    calm: int = 0


class Siblings:
    """Reads and writes them.

    Every method raises `QueueUnavailable` while the result backend can't be reached.

    Args:
        results: the result backend.
    """

    def __init__(self, results: Results) -> None:
        self._results = results

    def load(self, job: str) -> Kept | None:
        """Return what who runs the job, or else who started it, has told of it."""
        for part in ("bridge", "queued"):
            found = _kept(job, self._results.meta(_name(job, part)))
            if found is not None:
                return found
        return None

    def save(self, kept: Kept, *, queued: bool = False) -> None:
        """Store what is known of a job; `queued` by who only started it."""
        entry = kept.entry
        value: dict[str, Any] = {name: getattr(entry, name) for name in _FIELDS}
        value |= {"told_end": kept.told_end, "calm": kept.calm}
        self._results.store(_name(entry.job, "queued" if queued else "bridge"), value, STATE)

    def cancel(self, job: str, rev: int) -> None:
        """Ask the job to stop, whose last rev was this."""
        self._results.store(_name(job, "cancel"), {"rev": rev}, STATE)

    def cancelled_at(self, job: str) -> int:
        """Return the rev at which somebody asked the job to stop, 0 if nobody has."""
        value = _value(self._results.meta(_name(job, "cancel")))
        rev = value.get("rev")
        return rev if isinstance(rev, int) else 0


def _name(job: str, part: str) -> str:
    name = f"{job}~{part}"
    if len(name) <= _ID_CHARS:
        return name
    return f"{hashlib.sha256(job.encode()).hexdigest()}~{part}"


def _value(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    value = meta.get("result")
    return value if meta.get("status") == STATE and isinstance(value, dict) else {}


def _kept(job: str, meta: Mapping[str, Any]) -> Kept | None:
    value = _value(meta)
    if not all(name in value for name in _FIELDS):
        return None
    entry = Entry(job, **{name: value[name] for name in _FIELDS})
    return Kept(entry, str(value.get("told_end", "")), int(value.get("calm", 0)))
