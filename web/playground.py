"""`GET /playground`: the widget's markup and style sheet, to be changed and seen at once."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, current_app, render_template
from flask.typing import ResponseReturnValue

from bridge import Bridge
from bridge.records import blank_record
from web.dashboard import line_maker
from web.refusals import NO_STORE

MARKUP = """\
<task-progress
  label="Import customers"
  size="card"
>
  <span slot="actions">customers.csv</span>
</task-progress>
"""
LIST = """\
<task-list
  label="Recorded jobs"
></task-list>
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
def page() -> ResponseReturnValue:
    """Show the element beside its source."""
    now = time.time()
    records = recorded_states(now)
    line_of = line_maker(now)
    return render_template(
        "playground.html",
        markup=MARKUP,
        list_markup=LIST,
        sheet=SHEET,
        records=records,
        unheard=unheard_states(records["Running"]["job"]),
        lines={name: line_of(record) for name, record in records.items()},
        real=REAL,
    ), NO_STORE


def unheard_states(job: str) -> dict[str, dict[str, str]]:
    """Return what no record tells, but a server that says no or can't be reached.

    Args:
        job: the id of the record that was known last.

    Returns:
        attributes of the element, by the state that they lead to.
    """
    bridge: Bridge = current_app.extensions["celery-bridge"]
    found = {"Offline": {"job": job, "namespace": "/nowhere"}}
    if not bridge.settings.public:
        found["No permission"] = {"job": job}
        # It has ended before anybody can press the button.
        found["Link expired"] = {"job": job, "token": bridge.issue_token(job, expires=0.001)}
    return found


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
    return {
        name: {
            **blank_record(f"recorded-{rev}", "tasks.import_customers"),
            **numbers, **fields, "rev": rev, "updated_at": now,
        }
        for rev, (name, fields) in enumerate(told.items(), 1)
    }  # fmt: skip
