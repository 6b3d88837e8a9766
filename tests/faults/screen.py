"""What a client shows by the client's rule, written anew from the design and not from `bridge`."""

from __future__ import annotations

import time
from typing import Any

from tests.faults.evidence import History


class Screen:
    """Follows one job by the client's rule; what it shows goes into its history.

    Args:
        history: gets ``shown``, ``told`` and ``gaps``.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.seq = history.since
        self._rev = 0
        self._epoch: int | None = None
        self._event_rev = 0
        self._revs: set[int] = set()
        self._asking = True
        self._aside: list[tuple[str, dict[str, Any]]] = []

    def asking(self) -> int:
        """A watch goes out; returns its ``since``."""
        self._asking = True
        return self.seq

    def live(self, name: str, message: dict[str, Any]) -> bool:
        """Take a live message; returns whether to watch again."""
        if self._asking:
            self._aside.append((name, message))
            return False
        return self._apply(name, message)

    def answered(self, answer: dict[str, Any], since: int) -> bool:
        """Take the answer to a watch; returns whether to watch again."""
        self._asking = False
        snapshot = answer["snapshot"]
        again = False
        if snapshot is not None and self._epoch not in (None, snapshot["epoch"]):
            self._restart(snapshot["epoch"])
            again = since > 0
        if not again:
            for event in answer["events"]:
                self._skip_to(event["seq"] - 1)
                self._tell(event["name"], {k: v for k, v in event.items() if k != "name"})
            if answer["gap"] and not answer["events"] and snapshot is not None:
                self._skip_to(snapshot["last_seq"])
        if snapshot is not None:
            again |= self._show(snapshot)
        aside, self._aside = self._aside, []
        for name, message in aside:
            again |= self._apply(name, message)
        return again

    def _apply(self, name: str, message: dict[str, Any]) -> bool:
        if name == "progress":
            return self._show(message)
        if message.get("seq") is None:
            self.history.told.append((time.monotonic(), message))
            return False
        if message["seq"] == self.seq + 1:
            self._tell(name, message)
            return False
        # A number that was used, under a newer rev: only a new journal explains it.
        return message["seq"] > self.seq or message["rev"] > self._event_rev

    def _show(self, state: dict[str, Any]) -> bool:
        again = False
        if state["rev"] > self._rev:
            if self._epoch not in (None, state["epoch"]):
                self._restart(state["epoch"])
                again = True
            self._epoch = state["epoch"]
            self._rev = state["rev"]
            self.history.shown.append((time.monotonic(), state))
        return again or state["last_seq"] > self.seq

    def _tell(self, name: str, event: dict[str, Any]) -> None:
        if event["seq"] <= self.seq:
            return
        self.seq = event["seq"]
        self._event_rev = event["rev"]
        if event["rev"] not in self._revs:
            self._revs.add(event["rev"])
            self.history.told.append((time.monotonic(), {"name": name, **event}))

    def _skip_to(self, seq: int) -> None:
        if seq > self.seq:
            self.history.gaps.append((time.monotonic(), self.seq + 1, seq))
            self.seq = seq

    def _restart(self, epoch: int) -> None:
        """The journal was lost; its successor counts from 1."""
        self.history.gaps.append((time.monotonic(), self.seq + 1, None))
        self.seq = self._event_rev = 0
        self._epoch = epoch
