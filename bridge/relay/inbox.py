"""An inbox: what the relay has for a client that takes it by itself, bounded."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from bridge.relay.message import STATE, Message

#: More messages than this don't wait; who takes so slowly reads the journal instead.
MAX_MESSAGES: Final = 256


class Delivery(NamedTuple):
    """What was in an inbox.

    Attributes:
        messages: in the order in which they came; of states in a row only the newest.
        missed: messages were thrown away, so the journal must be read.
        farewell: the name and the payload of the last event of all, None if there is none.
        ended: nothing will come any more.
    """

    messages: list[Message]
    missed: bool
    farewell: tuple[str, Mapping[str, Any]] | None
    ended: bool


class Inbox:
    """Takes messages from the relay without waiting, and hands them to one reader that waits."""

    def __init__(self) -> None:
        self._filled = threading.Condition()
        self._messages: list[Message] = []
        self._missed = False
        self._farewell: tuple[str, Mapping[str, Any]] | None = None
        self._ended = False

    def put(self, message: Message) -> None:
        """Keep a message, in the place of an older state if that came last."""
        with self._filled:
            if message.kind == STATE and self._messages and self._messages[-1].kind == STATE:
                self._messages[-1] = message
            elif len(self._messages) < MAX_MESSAGES:
                self._messages.append(message)
            else:
                self._messages.clear()
                self._missed = True
            self._filled.notify()

    def end(self, name: str | None = None, payload: Mapping[str, Any] | None = None) -> None:
        """Nothing comes any more, but for one last event if it has a name."""
        with self._filled:
            if name is not None and not self._ended:
                self._farewell = (name, payload or {})
            self._ended = True
            self._filled.notify()

    def take(self, seconds: float) -> Delivery:
        """Return all that is there; wait at most that long for something."""
        with self._filled:
            self._filled.wait_for(lambda: self._messages or self._missed or self._ended, seconds)
            taken = Delivery(self._messages, self._missed, self._farewell, self._ended)
            self._messages, self._missed = [], False
            return taken
