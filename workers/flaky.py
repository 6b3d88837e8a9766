"""Fail as often as asked and try again, then succeed or fail for good."""

from __future__ import annotations

import time
from typing import Any

from celery import Task

from bridge import Progress, push_progress
from workers.app import app
from workers.bounds import number_within, one_of, whole_number_within

MAX_FAILURES = 20
MAX_COUNTDOWN_SECONDS = 60.0
OUTCOMES = ("success", "failure")
STEPS = 20
STEP_SECONDS = 0.05


class Hiccup(Exception):
    """What this task fails with before it tries again."""


class Breakdown(Exception):
    """What this task fails with for good."""


@app.task(name="workers.flaky", bind=True)
@push_progress(unit="steps", result=True)
def flaky(
    self: Task[Any, Any],
    failures: int = 2,
    countdown: float = 1,
    outcome: str = "success",
    *,
    progress: Progress,
) -> dict[str, Any]:
    """Do a little work; fail in the middle of it as often as asked.

    Args:
        self: the task.
        failures: how often to fail and try again, 0 to 20.
        countdown: seconds between a failure and the next try, 0 to 60.
        outcome: how it ends in the last try, ``success`` or ``failure``.
        progress: given by the bridge.

    Returns:
        ``{attempts}``: how many tries it took.

    Raises:
        Breakdown: outcome is ``failure`` and all tries are used up.
        ValueError: an argument is out of bounds.
    """
    whole_number_within("failures", failures, 0, MAX_FAILURES)
    number_within("countdown", countdown, 0, MAX_COUNTDOWN_SECONDS)
    one_of("outcome", outcome, OUTCOMES)
    attempt = self.request.retries
    last = attempt >= failures
    breaks = not last or outcome == "failure"
    for step in progress.track(range(STEPS), description=f"Attempt {attempt + 1}"):
        time.sleep(STEP_SECONDS)
        if breaks and step == STEPS // 2:
            break
    if not last:
        hiccup = Hiccup(f"attempt {attempt + 1} of {failures + 1} failed, as asked")
        raise self.retry(exc=hiccup, countdown=countdown, max_retries=failures)
    if outcome == "failure":
        raise Breakdown(f"attempt {attempt + 1} of {failures + 1} failed, as asked: none is left")
    return {"attempts": attempt + 1}
