"""How a job ended, where only Celery's own result says: put into what the bridge knows of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bridge.journal.entry import Entry
from bridge.journal.results import done_at, outcome_of
from bridge.journal.siblings import Kept
from bridge.records import RANK, blank_record, tail


def merged(
    job: str, kept: Kept | None, meta: Mapping[str, Any]
) -> tuple[Entry, dict[str, Any] | None]:
    """Return the entry and the snapshot of a job, as far as anything is known of it.

    Args:
        job: the job's id.
        kept: what the bridge keeps of it; None: nothing.
        meta: what Celery stores of it.
    """
    entry = Entry(job) if kept is None else kept.entry
    outcome = outcome_of(meta, "" if kept is None else kept.told_end)
    if outcome is not None and entry.rank < RANK[str(outcome["state"])]:
        entry = _ended(entry, outcome, done_at(meta))
    return entry, entry.read(-1).snapshot


def _ended(entry: Entry, outcome: dict[str, Any], at: float | None) -> Entry:
    """Return an entry that has ended so; its rev is the next one, for all who read alike."""
    record = json.loads("{" + entry.tail) if entry.srev else blank_record(entry.job, None)
    at = at if at is not None else record["updated_at"]
    record |= outcome | {
        "ended_at": at, "updated_at": at, "stage": None, "eta": None, "next_at": None,
    }  # fmt: skip
    current = entry.current
    if current:
        line = json.loads(current) | {"ended_at": at, "state": outcome["state"]}
        current = json.dumps(line)
    rev = entry.rev + 1
    return replace(
        entry, rev=rev, srev=rev, rank=RANK[str(outcome["state"])], tail=tail(record),
        current=current, epoch=entry.epoch or rev,
    )  # fmt: skip
