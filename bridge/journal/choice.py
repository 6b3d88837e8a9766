"""Which journal the settings mean: the one place where they are told apart."""

from __future__ import annotations

from bridge.journal.interface import Carrier, Journal
from bridge.settings import Settings


def open_journal(settings: Settings, carrier: Carrier | None = None) -> Journal:
    """Return the journal; it connects with its first call.

    Args:
        settings: where it is.
        carrier: carries what was stored, where the journal's own Redis doesn't.
    """
    if not settings.in_redis:
        from bridge.journal.memory import MemoryJournal

        return MemoryJournal(settings, carrier)
    from bridge.journal.redis import RedisJournal
    from bridge.journal.server import connect

    return RedisJournal(connect(settings.journal_url), settings, carrier)
