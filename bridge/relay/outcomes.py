"""How jobs ended that the journal believes to run or to wait: what the result backend knows."""

from __future__ import annotations

import logging
from typing import Any

from celery import Celery

from bridge.errors import QueueUnavailable
from bridge.journal.results import Results, outcome_of
from bridge.settings import Settings

_log = logging.getLogger(__name__)


def outcomes_of(settings: Settings, celery: Celery | None = None) -> ResultBackend | None:
    """Return what is asked for ends; None: nothing, or the journal asks it anyway.

    Args:
        settings: which result backend.
        celery: whose configuration of results holds.
    """
    if not settings.result_backend or settings.in_result_backend:
        return None
    return ResultBackend(Results(settings.result_backend, celery))


class ResultBackend:
    """What Celery's result backend knows of jobs.

    Args:
        results: the backend.
    """

    def __init__(self, results: Results) -> None:
        self._results = results

    def ended(self, job: str) -> dict[str, Any] | None:
        """See `bridge.relay.sweep.Outcomes`."""
        try:
            return outcome_of(self._results.meta(job))
        except QueueUnavailable as trouble:
            _log.info("the result backend can't be asked about job %s: %s", job, trouble)
            return None
