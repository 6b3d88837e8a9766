"""Which journal the settings mean: the one place where they are told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.journal.interface import Carrier, Journal
from bridge.settings import Settings

if TYPE_CHECKING:
    from celery import Celery


def open_journal(
    settings: Settings, carrier: Carrier | None = None, celery: Celery | None = None
) -> Journal:
    """Return the journal; it connects with its first call.

    Args:
        settings: where it is.
        carrier: carries what was stored, where the journal's own Redis doesn't.
        celery: whose configuration of results holds, if it is in the result backend.

    Raises:
        SettingsError: the journal is the result backend, and there is none.
    """
    if settings.in_result_backend:
        from bridge.journal.backend import BackendJournal
        from bridge.journal.results import Results

        url = settings.require_result_backend()
        return BackendJournal(Results(url, celery), settings, carrier)
    if not settings.in_redis:
        from bridge.journal.memory import MemoryJournal

        return MemoryJournal(settings, carrier)
    from bridge.journal.redis import RedisJournal
    from bridge.journal.server import connect

    return RedisJournal(connect(settings.journal_url), settings, carrier)
