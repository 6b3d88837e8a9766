"""Step at an even pace and do nothing else: for measuring how progress travels."""

from __future__ import annotations

import time

from bridge import Progress, push_progress
from workers.app import app
from workers.bounds import number_within, whole_number_within

MAX_STEPS = 100_000
MAX_INTERVAL_SECONDS = 60.0
MAX_DURATION_SECONDS = 20 * 60
TICKS = 10


@app.task(name="workers.metronome")
@push_progress(unit="steps", result=True)
def metronome(
    steps: int = 100, interval: float = 0.1, *, progress: Progress
) -> dict[str, int | float]:
    """Step at an even pace; each tenth of the way is an event ``tick``.

    Args:
        steps: how many, 1 to 100,000.
        interval: seconds from one step to the next, 0 to 60; all steps within 20 minutes.
        progress: given by the bridge.

    Returns:
        ``{steps, seconds}``.

    Raises:
        ValueError: an argument is out of bounds.
    """
    whole_number_within("steps", steps, 1, MAX_STEPS)
    number_within("interval", interval, 0, MAX_INTERVAL_SECONDS)
    number_within("steps * interval", steps * interval, 0, MAX_DURATION_SECONDS)
    start = time.monotonic()
    every = max(1, steps // TICKS)
    for step in progress.track(range(1, steps + 1), description="Ticking"):
        # Counted from the start, so that the pace doesn't drift with what a step costs.
        time.sleep(max(0.0, start + step * interval - time.monotonic()))
        if step % every == 0:
            progress.emit("tick", {"step": step})
    return {"steps": steps, "seconds": round(time.monotonic() - start, 3)}
