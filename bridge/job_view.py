"""The client's rule: what one client knows of one job, from messages in any order.

Pure: messages in, changes out. `bridge.client.Watch` feeds it from a web node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.records import FINAL

#: Live messages that are set aside at most; what is beyond is found again as a hole.
MAX_ASIDE: Final = 2000
#: Revs of told events that are remembered, as many as a journal keeps events by default.
REVS_KEPT: Final = 1000
#: After so many answers that fill nothing, a hole is told as a gap.
FUTILE_ANSWERS: Final = 2


@dataclass(frozen=True, slots=True)
class StateChange:
    """The job's newest state."""

    state: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventChange:
    """An event of the job, in order."""

    name: str
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class GapChange:
    """Events that are gone for good: `first` to `last`; None: nobody can know how many."""

    first: int
    last: int | None


@dataclass(frozen=True, slots=True)
class Hole:
    """Events are missing: watch again with `since`."""

    since: int


Change = StateChange | EventChange | GapChange
Effect = Change | Hole


class JobView:
    """What one client knows of one job.

    Before each watch call `asking`, and give it the answer by `answered`; give it every live
    message by `live`. Each returns what changed, in the order in which it is to be told.

    Args:
        since: the seq of the last event that is known already.

    Attributes:
        state: the newest state record, None before any.
        seq: the highest event seq up to which nothing is missing.
    """

    def __init__(self, since: int = 0) -> None:
        self.state: dict[str, Any] | None = None
        self.seq = since
        self._epoch: int | None = None
        self._first_rev = 0
        self._event_rev = 0
        self._waiting = True
        self._futile = 0
        self._aside_state: dict[str, Any] | None = None
        self._aside: dict[int, tuple[str, dict[str, Any]]] = {}
        self._told: dict[int, None] = {}
        self._effects: list[Effect] = []

    @property
    def complete(self) -> bool:
        """Whether the job has ended, and nothing of it is missing or on its way."""
        ended = self.state is not None and self.state["state"] in FINAL
        return ended and not self._waiting and self._missing() is None

    def asking(self) -> int:
        """A watch goes out; returns the ``since`` to ask with."""
        self._waiting = True
        return self.seq

    def live(self, name: str, message: Mapping[str, Any]) -> list[Effect]:
        """Take a live message; it is set aside until the answer to a watch is there.

        Args:
            name: the Socket.IO event's name.
            message: its payload; one without a rev and seq (sent to a room or a client) is told
                as it comes.
        """
        if name == "progress":
            if not self._waiting:
                self._apply_state(dict(message))
            elif self._aside_state is None or message["rev"] > self._aside_state["rev"]:
                self._aside_state = dict(message)
        elif message.get("seq") is None:
            self._effects.append(EventChange(name, dict(message)))
        elif len(self._aside) < MAX_ASIDE:
            self._aside[message["rev"]] = (name, dict(message))
        if not self._waiting:
            self._settle()
        return self._taken()

    def answered(self, answer: Mapping[str, Any], since: int) -> list[Effect]:
        """Take the answer to a watch.

        Args:
            answer: ``snapshot``, ``events`` and ``gap`` of the ack.
            since: what was asked with.
        """
        self._waiting = False
        before = self.seq
        snapshot = answer["snapshot"]
        restarted = snapshot is not None and self._is_other_journal(snapshot)
        if restarted:
            self._restart(snapshot)
        if since <= self.seq:
            self._apply_events(answer, snapshot)
        if snapshot is not None:
            self._apply_state(snapshot)
        self._futile = 0 if restarted or self.seq > before else self._futile + 1
        self._settle()
        return self._taken()

    def _apply_events(self, answer: Mapping[str, Any], snapshot: dict[str, Any] | None) -> None:
        for event in answer["events"]:
            if event["seq"] <= self.seq:
                continue
            if event["seq"] > self.seq + 1:
                # The answer is what the journal has, so what is missing in it is not retained.
                self._skip_to(event["seq"] - 1)
            payload = {key: value for key, value in event.items() if key != "name"}
            self._apply_event(event["name"], payload)
        last = snapshot["last_seq"] if snapshot is not None else 0
        if answer["gap"] and not answer["events"] and last > self.seq:
            self._skip_to(last)

    def _apply_state(self, state: dict[str, Any]) -> None:
        if self.state is not None and state["rev"] <= self.state["rev"]:
            return
        if self._is_other_journal(state):
            self._restart(state)
        self._epoch = state["epoch"]
        self.state = state
        self._effects.append(StateChange(state))

    def _apply_event(self, name: str, event: dict[str, Any]) -> None:
        self.seq = event["seq"]
        self._event_rev = event["rev"]
        self._first_rev = self._first_rev or event["rev"]
        if event["rev"] in self._told:
            return
        self._told[event["rev"]] = None
        if len(self._told) > REVS_KEPT:
            del self._told[next(iter(self._told))]
        self._effects.append(EventChange(name, event))

    def _is_other_journal(self, state: Mapping[str, Any]) -> bool:
        """Whether the journal that a state comes from is not the one that counted our events."""
        if self._epoch is None:
            recounted = state["last_seq"] < self.seq and state["rev"] > self._event_rev
            return bool(recounted or 0 < self._first_rev < state["epoch"])
        return bool(state["epoch"] > self._epoch)

    def _restart(self, state: Mapping[str, Any]) -> None:
        """The journal was lost, and its successor counts from 1; what was between is unknown."""
        self._effects.append(GapChange(self.seq + 1, None))
        self.seq = self._first_rev = self._event_rev = self._futile = 0
        epoch = self._epoch = state["epoch"]
        self._aside = {rev: event for rev, event in self._aside.items() if rev >= epoch}

    def _skip_to(self, seq: int) -> None:
        self._effects.append(GapChange(self.seq + 1, seq))
        self.seq = seq

    def _settle(self) -> None:
        """Apply what was set aside as far as it follows; tell a hole, or a gap if asking fails."""
        state, self._aside_state = self._aside_state, None
        if state is not None and self._is_other_journal(state):
            self._apply_state(state)
        self._follow()
        if state is not None:
            self._apply_state(state)
        target = self._missing()
        if target is None:
            self._futile = 0
        elif self._futile >= FUTILE_ANSWERS and target > self.seq:
            self._futile = 0
            self._skip_to(target)
            self._settle()
        else:
            self._effects.append(Hole(self.seq))

    def _follow(self) -> None:
        for rev in sorted(self._aside):
            name, event = self._aside[rev]
            if rev <= self._event_rev or rev < (self._epoch or 0) or rev in self._told:
                del self._aside[rev]
            elif event["seq"] == self.seq + 1:
                del self._aside[rev]
                self._apply_event(name, event)
            elif event["seq"] <= self.seq and self._futile:
                # A newer rev under a number that was used: only a new journal explains it, and
                # the answer to the last watch should have told its epoch.
                del self._aside[rev]

    def _missing(self) -> int | None:
        """Return the seq up to which events are missing, None if none are."""
        if self._aside:
            lowest: int = min(event["seq"] for _, event in self._aside.values())
            return max(lowest - 1, self.seq)
        last: int = self.state["last_seq"] if self.state is not None else 0
        return last if last > self.seq else None

    def _taken(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects
