"""The journal: what is remembered of a job, and for how long.

`Journal` is the interface; `RedisJournal` the one that keeps all promises.
"""

from bridge.journal.interface import Cancelled, Carrier, Journal, Page, Standing, VitalSigns
from bridge.journal.redis import RedisJournal
from bridge.journal.server import connect

__all__ = [
    "Cancelled", "Carrier", "Journal", "Page", "RedisJournal", "Standing", "VitalSigns", "connect",
]  # fmt: skip
