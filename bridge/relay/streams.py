"""Server-sent events: the watch of one job by plain HTTP, for `EventSource`, `curl -N` and others.

A stream is a member like any other: same permission, limits and order. The client's rule is applied
here, so what it is told is the newest state first, then each event once and in order, then what
comes. A slow reader holds a bounded inbox; what didn't fit is read from the journal.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from bridge.errors import QueueUnavailable
from bridge.job_view import Change, Effect, EventChange, GapChange, Hole, JobView, StateChange
from bridge.records import FINAL, Reading
from bridge.relay.answers import Answers
from bridge.relay.caller import Caller
from bridge.relay.gate import Gate
from bridge.relay.inbox import Inbox
from bridge.relay.message import EVENT, PROGRESS_EVENT, Message
from bridge.relay.reader import Request
from bridge.relay.relay import Relay
from bridge.relay.requests import WatchJobs
from bridge.settings import Settings

#: A silent stream says so often that it lives, and learns whether its client does.
HEARTBEAT_SECONDS: Final = 15.0
#: What an `EventSource` waits before it connects anew.
RETRY_MILLISECONDS: Final = 2000
GAP_EVENT: Final = "bridge:gap"
_PAUSE_SECONDS: Final = 0.25


class Streams:
    """The streams of one process.

    Args:
        settings: the namespace whose messages they get.
        relay: brings them messages; gate: counts their clients; answers: lets them watch.
    """

    def __init__(self, settings: Settings, relay: Relay, gate: Gate, answers: Answers) -> None:
        self._namespace = settings.namespace
        self._relay = relay
        self._gate = gate
        self._answers = answers
        self._lock = threading.Lock()
        self._open: dict[str, Inbox] = {}

    def open(self, job: str, since: int, token: str | None, caller: Caller) -> Stream:
        """Return a new stream; its `close` must be called.

        Args:
            job: the job's id; since: the last seq that the client has; token: what it gave.
            caller: who asks.

        Raises:
            Refused: as for a watch by Socket.IO.
        """
        ident = f"stream-{uuid.uuid4().hex}"
        inbox = Inbox()
        self._gate.admit(ident, caller)
        try:
            member = self._relay.members.connect(self._namespace, ident, ident, inbox)
            answer = self._answers.watch(member, WatchJobs({job: since}, True, token))
        except BaseException:
            self._gate.leave(ident)
            raise
        with self._lock:
            self._open[ident] = inbox
        return Stream(
            job, since, answer, inbox, self._relay.reader.read, lambda: self._close(ident)
        )

    def stop(self) -> None:
        """End all streams; their clients come back, perhaps to another node."""
        with self._lock:
            for inbox in self._open.values():
                inbox.end()

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def _close(self, ident: str) -> None:
        with self._lock:
            if self._open.pop(ident, None) is None:
                return
        self._gate.leave(ident)


class Stream:
    """The body of one answer, in pieces.

    Args:
        job: the job's id; since: the last seq that the client has.
        answer: to the watch; inbox: where live messages come.
        read: reads the journal; close: ends the watch.
    """

    def __init__(
        self,
        job: str,
        since: int,
        answer: Mapping[str, Any],
        inbox: Inbox,
        read: Callable[[Sequence[Request]], list[Reading]],
        close: Callable[[], None],
    ) -> None:
        self._job = job
        self._since = since
        self._answer = answer
        self._inbox = inbox
        self._read = read
        self.close = close
        self._view = JobView(since)
        self._told = since
        self._asking = False
        self._end: StateChange | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Yield what is to be sent, as soon as it is there."""
        yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
        self._view.asking()
        effects = self._view.answered(self._answer, self._since)
        # Who comes late sees at once how it stands, however many events there are.
        effects.sort(key=lambda effect: not isinstance(effect, StateChange))
        spoke = time.monotonic()
        while True:
            for change in self._due(effects):
                yield self._text(change)
                spoke = time.monotonic()
            answered = self._ask() if self._asking else None
            if answered is not None:
                effects = answered
                continue
            if time.monotonic() - spoke >= HEARTBEAT_SECONDS:
                yield b": alive\n\n"
                spoke = time.monotonic()
            taken = self._inbox.take(_PAUSE_SECONDS if self._asking else HEARTBEAT_SECONDS)
            self._asking = self._asking or taken.missed
            effects = [effect for message in taken.messages for effect in self._live(message)]
            if taken.ended:
                yield from map(self._text, self._due(effects))
                if taken.farewell is not None:
                    yield _event(*taken.farewell)
                return

    def _due(self, effects: Iterable[Effect]) -> Iterator[Change]:
        """Yield what is to be told now. A job's end waits for the events that it comes after."""
        for effect in effects:
            if isinstance(effect, Hole):
                self._asking = True
            elif not isinstance(effect, StateChange):
                yield effect
            elif effect.state["state"] in FINAL:
                self._end = effect
            else:
                self._end = None
                yield effect
        if self._end is not None and not self._asking:
            end, self._end = self._end, None
            yield end

    def _ask(self) -> list[Effect] | None:
        """Read what is missing; None: the journal can't be reached just now."""
        since = self._view.asking()
        try:
            (reading,) = self._read([(self._job, since)])
        except QueueUnavailable:
            return None
        self._asking = False
        answer = {"snapshot": reading.snapshot, "events": reading.events, "gap": reading.gap}
        return self._view.answered(answer, since)

    def _live(self, message: Message) -> list[Effect]:
        try:
            name, payload = message.content()
        except (ValueError, TypeError, RecursionError):
            return []
        return self._view.live(name, payload) if _agrees(message, payload) else []

    def _text(self, change: Change) -> bytes:
        if isinstance(change, EventChange):
            self._told = change.event["seq"]
            return _event(change.name, change.event, self._told)
        if isinstance(change, GapChange):
            self._told = change.last or 0
            gap = {"job": self._job, "first": change.first, "last": change.last}
            return _event(GAP_EVENT, gap, self._told)
        return _event(PROGRESS_EVENT, change.state, self._told)


def _agrees(message: Message, payload: object) -> bool:
    """Whether a payload says what the frame around it does: nothing from the queue is trusted."""
    if not isinstance(payload, dict) or payload.get("rev") != message.rev:
        return False
    if message.kind == EVENT:
        return bool(payload.get("seq") == message.seq)
    told = payload.get("last_seq"), type(payload.get("epoch")), type(payload.get("state"))
    return told == (message.seq, int, str)


def _event(name: str, data: Mapping[str, Any], ident: int | None = None) -> bytes:
    """Write an event. JSON has no line end in it, but a name out of the journal might."""
    head = "" if ident is None else f"id: {ident}\n"
    name = " ".join(name.splitlines())
    return f"{head}event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
