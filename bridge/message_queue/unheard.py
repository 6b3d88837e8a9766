"""Which rooms nobody listens to, as far as the last message to each of them told."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

#: Of so many rooms it is remembered; beyond, those that were told of first are forgotten.
KEPT: Final = 10_000


class Unheard:
    """Remembers rooms by their names, a bounded number of them."""

    def __init__(self) -> None:
        self._rooms: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, room: str) -> bool:
        return room in self._rooms

    def note(self, room: str, *, heard: bool) -> None:
        """Remember whether the last message to a room was heard."""
        if heard:
            self._rooms.pop(room, None)
            return
        self._rooms[room] = None
        if len(self._rooms) > KEPT:
            self._rooms.popitem(last=False)
