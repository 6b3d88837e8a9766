"""`GET /playground`: the widget's markup and style sheet, to be changed and seen at once."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, render_template

from bridge.records import blank_record

MARKUP = """\
<task-progress
  label="Import customers"
  size="card"
>
  <span slot="actions">customers.csv</span>
</task-progress>
"""
SHEET = """\
task-progress {
  --task-progress-running: light-dark(#6d28d9, #b794ff);
  --task-progress-success: light-dark(#0f766e, #5eead4);
  --task-progress-radius: 0.5rem;
  --task-progress-bar-height: 0.5rem;
}
task-progress::part(figures) {
  font-weight: 600;
}
"""
#: (kind of job, what its button says, fields): what can be started here.
REAL: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("metronome", "Runs for 20 seconds", {"steps": 200, "interval": 0.1}),
    ("flaky", "Fails twice, then succeeds", {"failures": 2, "countdown": 3}),
    ("flaky", "Fails for good", {"failures": 0, "outcome": "failure"}),
)

blueprint = Blueprint("playground", __name__)


@blueprint.get("/playground")
def page() -> str:
    """Show the element beside its source."""
    records = recorded_states(time.time())
    return render_template(
        "playground.html",
        markup=MARKUP,
        sheet=SHEET,
        recorded=list(records),
        real=REAL,
        records=records,
    )


def recorded_states(now: float) -> dict[str, dict[str, Any]]:
    """Return a record of each state that a job can be in.

    Args:
        now: the Unix second that the records are told from.
    """
    stages = [
        {"name": "Reading", "current": 1, "total": 1, "weight": 0.3, "state": "SUCCESS"},
        {"name": "Storing", "current": 3.2e9, "total": 8.1e9, "weight": 0.7, "state": "PROGRESS"},
    ]
    begun = {"queued_at": now - 90, "started_at": now - 85, "run": 1, "worker": "worker-1@host"}
    half = {**begun, "current": 3.2e9, "total": 8.1e9, "unit": "B"}
    soon = now + 45
    error = {"type": "ConnectionError", "message": "the warehouse did not answer within 30 seconds"}
    told = {
        "Waiting": {"state": "PENDING", "queued_at": now - 4},
        "Running": {
            "state": "PROGRESS", **half, "rate": 41e6, "eta": 120, "message": "customers.csv",
            "stage": "Storing", "stages": stages,
        },
        "Indeterminate": {"state": "PROGRESS", **begun, "message": "Listing files"},
        "Trying again": {"state": "RETRY", **half, "attempt": 1, "error": error, "next_at": soon},
        "Worker lost": {"state": "LOST", **half, "lost_at": now - 3, "redeliverable": True},
        "Done": {
            "state": "SUCCESS", **half, "current": 8.1e9, "ended_at": now, "result": {"rows": 9},
        },
        "Failed": {"state": "FAILURE", **half, "error": error, "ended_at": now},
        "Cancelled": {"state": "REVOKED", **half, "ended_at": now},
    }  # fmt: skip
    numbers = {"run": 0, "last_seq": 0, "epoch": 1, "runs": []}
    blank = blank_record("recorded", "tasks.import_customers")
    return {
        name: {**blank, **numbers, **fields, "rev": rev, "updated_at": now}
        for rev, (name, fields) in enumerate(told.items(), 1)
    }
