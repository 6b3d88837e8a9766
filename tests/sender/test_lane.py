"""What a run tells: the texts that are made once a run say what its record says."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from bridge.journal import Journal
from bridge.records import PROGRESS, STARTED, SUCCESS, blank_record, state_publication
from bridge.sender.lane import LiveSource
from bridge.sender.progress import Progress
from bridge.sender.run import Run

NO_JOURNAL = cast(Journal, None)
FULL = Run(
    job="j", task="t", attempt=2, root="r", parent="p", user="u", worker="w@host", queue="q",
    redeliverable=True, queued_at=1.5,
)  # fmt: skip


@pytest.mark.parametrize("run", [FULL, Run(job="j"), Run(job="j", root="j")])
def test_each_state_of_a_run_is_told_as_its_record_has_it(run: Run) -> None:
    progress = Progress(run)
    source = LiveSource(progress)
    told = []
    for step in (
        lambda: None,
        lambda: progress.update(1, total=3, message='"ä\udc80\n'),
        lambda: progress.meta.update(rows=[1]),
        lambda: progress.finish(SUCCESS),
    ):
        step()
        publication = source.publication(NO_JOURNAL)
        record = progress.record(0.0) | _times(json.loads("{" + publication.body))
        entry = {
            "attempt": run.attempt, "started_at": run.started_at,
            "ended_at": record["ended_at"], "state": record["state"],
        }  # fmt: skip
        plain = state_publication(record, run_id=run.run_id, start=True, entry=entry)
        assert record.keys() == blank_record("j", None).keys()
        for name in ("body", "run_entry"):
            ours, theirs = getattr(publication, name), getattr(plain, name)
            assert json.loads("{" + ours) == json.loads("{" + theirs)
            setattr(plain, name, ours)
        assert publication == plain
        told.append(publication.state)
    assert told == [STARTED, PROGRESS, PROGRESS, SUCCESS]


def _times(record: dict[str, Any]) -> dict[str, Any]:
    """What comes from the clock, or from how often one asks."""
    return {name: record[name] for name in ("updated_at", "rate", "eta")}
