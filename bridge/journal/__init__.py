"""The journal: what is remembered of a job, and for how long.

`Journal` is the interface; `RedisJournal` the one that keeps all promises; `open_journal` gives the
one that the settings mean.
"""

from bridge.journal.choice import open_journal
from bridge.journal.interface import Cancelled, Carrier, Journal, Page, Standing, VitalSigns
from bridge.journal.redis import RedisJournal
from bridge.journal.server import connect

__all__ = [
    "Cancelled", "Carrier", "Journal", "Page", "RedisJournal", "Standing", "VitalSigns", "connect",
    "open_journal",
]  # fmt: skip
