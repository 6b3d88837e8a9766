"""The teller: publishes what a journal without a Redis has stored."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import lru_cache

from bridge.journal.entry import Entry
from bridge.journal.interface import Carrier
from bridge.records import FINAL, OK, REPEATED, Publication, Receipt
from bridge.rooms import job_room, room_channel, root_room, user_room
from bridge.settings import Settings


class Teller:
    """Gives publications their numbers in an entry, and has them carried.

    Args:
        settings: channel and namespace.
        carrier: carries; None: this process only reads.
    """

    def __init__(self, settings: Settings, carrier: Carrier | None) -> None:
        self._channel = settings.channel
        self._packet_head = f"2{settings.namespace},["
        self._carrier = carrier

    def tell(self, entry: Entry, p: Publication, beat: str = "") -> Receipt:
        """Store and publish.

        Args:
            entry: what is remembered of the job; it is changed.
            p: what is published; beat: as for `Entry.take`.
        """
        return self.carry(entry, p, *self.store(entry, p, beat))

    def store(self, entry: Entry, p: Publication, beat: str = "") -> tuple[Receipt, str]:
        """Store only; returns what `carry` is to be given."""
        return entry.take(p, time.time_ns() // 1000, beat)

    def carry(self, entry: Entry, p: Publication, receipt: Receipt, payload: str) -> Receipt:
        """Publish what was stored."""
        if self._carrier is None or receipt.status not in (OK, REPEATED):
            return receipt
        channels = [room_channel(self._channel, room) for room in _rooms(entry)]
        if payload:
            self._carrier.carry(channels, self._frame(p, receipt, payload), keep=p.state in FINAL)
        return replace(receipt, receivers=int(self._carrier.listened_to(channels)))

    def close(self) -> None:
        """Close what carries."""
        if self._carrier is not None:
            self._carrier.close()

    def _frame(self, p: Publication, receipt: Receipt, payload: str) -> bytes:
        packet = f"{self._packet_head}{_quoted(p.name)},{payload}]".encode("utf-8", "surrogatepass")
        numbers = f"{receipt.run} {receipt.rev} {receipt.seq}"
        return f"v1 {p.job} {numbers} {p.kind} {len(packet)}\n".encode() + packet


def _rooms(entry: Entry) -> list[str]:
    rooms = [job_room(entry.job)]
    rooms += [root_room(entry.root)] if entry.root else []
    return rooms + ([user_room(entry.user)] if entry.user else [])


@lru_cache(maxsize=256)
def _quoted(name: str) -> str:
    return json.dumps(name)
