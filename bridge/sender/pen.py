"""The pen: the right to write a run's state where Celery will store its outcome.

The task's thread takes it away before Celery stores anything, so that no state of ours is written
over an outcome. It waits a moment for a write that is under way, but not for a backend that hangs;
then what became of the outcome is looked after by who wrote.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final

#: How long the end of a task waits for a write that is under way, at the most.
CLOSE_SECONDS: Final = 0.1


def stores_results(task: Any) -> bool:
    """Whether Celery will store the outcome of the task that runs here just now."""
    request = task.request
    ignored = getattr(request, "ignore_result", None)
    if task.ignore_result if ignored is None else ignored:
        return False
    return not request.is_eager or bool(task.store_eager_result)


class Pen:
    """Held by one run of a task.

    Args:
        job: the job's id.
        run_id: the nonce of the run.
        request: Celery's request of the task.

    Attributes:
        overlapped: whether a write was still under way when the task ended.
        before: the stamp of the end that an earlier run left; None: not looked for yet.
    """

    def __init__(self, job: str, run_id: str, request: Any) -> None:
        self.job = job
        self.run_id = run_id
        self.request = request
        self.overlapped = False
        self.before: str | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._writes_since: float | None = None

    @property
    def closed(self) -> bool:
        """Whether nothing may be written any longer."""
        return self._closed

    def take(self) -> bool:
        """Begin to write; returns whether that is allowed. Then `put_down` must follow."""
        with self._changed:
            if not self._closed:
                self._writes_since = time.monotonic()
            return not self._closed

    def put_down(self) -> None:
        """Tell that the write is over, come what may."""
        with self._changed:
            self._writes_since = None
            self._changed.notify_all()

    def close(self) -> None:
        """Let nothing be written any longer; waits at most `CLOSE_SECONDS` from when one began."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            if self._writes_since is not None:
                left = self._writes_since + CLOSE_SECONDS - time.monotonic()
                self._changed.wait_for(lambda: self._writes_since is None, max(0.0, left))
            self.overlapped = self._writes_since is not None
