"""Captured logs: what a task logs while it runs arrives as ``log`` events."""

from __future__ import annotations

import logging
import threading
from typing import Final

from bridge.sender.progress import Progress, open_progress

#: A run's captured lines; what it logs beyond is told once and not sent.
MAX_LINES: Final = 2000


class LogCapture(logging.Handler):
    """Hands log records to the job in whose context they were made.

    One handler on the root logger serves all runs of a process; it is there only while a capturing
    run is.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: dict[str, int] = {}
        self._guard = threading.Lock()

    def begin(self, progress: Progress) -> None:
        """Capture for a run until `end`."""
        with self._guard:
            self._lines[progress.run.run_id] = 0
            if len(self._lines) == 1:
                logging.getLogger().addHandler(self)

    def end(self, progress: Progress) -> None:
        """Stop capturing for a run."""
        with self._guard:
            self._lines.pop(progress.run.run_id, None)
            if not self._lines:
                logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        progress = open_progress()
        if progress is None or record.name.startswith("bridge."):
            return
        count = self._lines.get(progress.run.run_id)
        if count is None or count > MAX_LINES:
            return
        self._lines[progress.run.run_id] = count + 1
        try:
            text = record.getMessage()
            if count == MAX_LINES:
                text = f"(more than {MAX_LINES} lines: the rest is only in the worker's log)"
            progress.log(text, record.levelname, record.name)
        except Exception:  # noqa: BLE001 - logging must never harm the task
            self.handleError(record)


capture: Final = LogCapture()
