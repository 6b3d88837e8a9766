"""An entry: what is remembered of one job where no Redis does, and the rules of its order.

They are those of `publish.lua`, which says why; the contract's tests hold both to them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.journal.reading import EVENT_BYTES_A_READ, event_of, numbers_text, snapshot_of
from bridge.records import (
    FAILURE,
    LOST,
    OK,
    RANK,
    REPEATED,
    STALE,
    Publication,
    Reading,
    Receipt,
)

RUNS_KEPT: Final = 20
SENDERS_REMEMBERED: Final = 64
_STATE: Final = "state"


@dataclass(frozen=True, slots=True)
class Event:
    """A custom event of a job."""

    seq: int
    name: str
    payload: str


@dataclass(slots=True)
class Entry:
    """One job, as the fields of Redis' hash and stream are.

    Attributes:
        rev: of the last message; srev: of the last state, 0: none.
        run run_id attempt redelivered: of the current run; seq epoch: as everywhere.
        rank: of the last state, -1: nothing is known.
        tail: the record as JSON text, but for the journal's numbers and the opening brace.
        current past: the open run's entry in ``runs``, and those that ended, as JSON texts.
        older: the runs that were superseded, by nonce, each with its number.
        root user: whose it is; lease verdict cancel: as in Redis.
        told: the last publication of each sender, with the rev and seq that it got.
        events: what is retained, oldest first.
    """

    job: str
    rev: int = 0
    srev: int = 0
    run: int = 0
    run_id: str = ""
    attempt: int = 0
    redelivered: bool = False
    rank: int = -1
    seq: int = 0
    epoch: int = 0
    tail: str = ""
    current: str = ""
    past: list[str] = field(default_factory=list)
    older: dict[str, int] = field(default_factory=dict)
    root: str = ""
    user: str = ""
    lease: str = ""
    verdict: str = ""
    cancel: bool = False
    told: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=deque)

    def take(self, p: Publication, clock: int, beat: str = "") -> tuple[Receipt, str]:
        """Give a publication its numbers and remember it.

        Args:
            p: what is published.
            clock: microseconds since 1970.
            beat: where the lease of `p` stands.

        Returns:
            The answer, and the payload as JSON text, empty if nothing is to be published.
        """
        repeated = self._repeat(p)
        if repeated is not None:
            return repeated, ""
        if self._was_overtaken(p, beat):
            return self._answer(STALE), ""
        given_up = self.verdict == FAILURE
        run = self._run_that_speaks(p, given_up)
        if run is None:
            return self._answer(STALE), ""
        opens = bool(p.run_id) and p.run_id != self.run_id
        if p.kind == _STATE and not self._may_follow(p, opens):
            return self._answer(STALE), ""
        self._count(p, clock)
        if opens:
            self._open_run(p)
        self.run = run
        payload = (self._store_state if p.kind == _STATE else self._store_event)(p, opens)
        self._remember(p)
        return self._answer(OK), payload

    def read(self, since: int) -> Reading:
        """Return the newest state and the events after `since` (-1: none)."""
        gap = since > self.seq
        since = 0 if gap else since
        events: list[dict[str, Any]] = []
        budget, first = EVENT_BYTES_A_READ, self.seq + 1
        for event in self.events if 0 <= since < self.seq else ():
            if event.seq <= since:
                continue
            first = min(first, event.seq)
            budget -= len(event.payload)
            if events and budget < 0:
                break
            events.append(event_of(event.name, event.payload))
        gap = gap or (0 <= since < self.seq and first > since + 1)
        return Reading(self._snapshot(), events, gap, self.seq, self.run_id)

    @property
    def running(self) -> bool:
        """Whether it is in the middle of a run."""
        return self.rank == RANK[LOST]

    @property
    def waiting(self) -> bool:
        """Whether it is queued, for its first run or the next."""
        return self.rank in (-1, 0, 2)

    @property
    def runs_text(self) -> str:
        """The runs as JSON text, without brackets."""
        return ",".join([*self.past, self.current] if self.current else self.past)

    def _snapshot(self) -> dict[str, Any] | None:
        if not self.srev:
            return None
        numbers = numbers_text(self.srev, self.run, self.seq, self.epoch, self.runs_text)
        return snapshot_of(numbers, self.tail)

    def _answer(self, status: str) -> Receipt:
        return Receipt(status, self.rev, self.seq, self.run, 0, self.cancel)

    def _repeat(self, p: Publication) -> Receipt | None:
        """Answer a repeat, because the reply to the first was lost."""
        n, rev, seq = self.told.get(p.nonce, (0, 0, 0))
        if not n or p.n > n:
            return None
        if p.n == n:
            return Receipt(REPEATED, rev, seq, self.run, 0, self.cancel)
        return self._answer(REPEATED)

    def _was_overtaken(self, p: Publication, beat: str) -> bool:
        """Whether the state that a compare-and-set, or a verdict, is about is another by now."""
        others = bool(self.run_id) and p.run_id != self.run_id
        if p.expect is not None and (p.expect != self.srev or others):
            return True
        return p.verdict and (not self.running or p.lease != self.lease or p.beat != beat)

    def _run_that_speaks(self, p: Publication, given_up: bool) -> int | None:
        """Return the number of the run that speaks; None if a newer one has begun."""
        superseded = self.older.get(p.run_id) if p.run_id else None
        if not p.run_id or p.run_id == self.run_id:
            return self.run
        next_run = max(self.run + 1, p.run, p.attempt + 1)
        if self.rank < 1 and superseded is None:
            return next_run
        if p.start and superseded is None:
            earlier = p.attempt < self.attempt or (
                p.attempt == self.attempt and self.redelivered and not p.redelivered
            )
            late = earlier and not given_up and (self.rank < RANK[FAILURE] or p.ended)
            return None if late else next_run
        if p.run > self.run and superseded is None:
            return p.run
        self._correct_line(superseded or p.run, p)
        return None

    def _correct_line(self, run: int, p: Publication) -> None:
        """Let a run that was superseded tell its own end in the history."""
        if RANK.get(p.state, 0) < 2 or not run:
            return
        begins = f'{{"run":{run},'
        for place, line in enumerate(self.past):
            if line.startswith(begins):
                self.past[place] = begins + p.run_entry

    def _may_follow(self, p: Publication, opens: bool) -> bool:
        rank = _rank(p)
        if rank == 0 and self.rank >= 0:
            return False
        lifted = p.again and p.expect is not None and rank == self.rank and p.floor >= self.rev
        fallen = rank < self.rank or self.rank == RANK[FAILURE]
        return opens or not fallen or lifted

    def _count(self, p: Publication, clock: int) -> None:
        again = p.seq_floor > self.seq and p.floor >= self.epoch
        went_back = 0 < self.rev < p.floor or (self.rev > 0 and again)
        told_before = p.again and p.floor > 0
        self.rev = max(self.rev + 1, p.floor + 1, 0 if told_before else clock)
        if went_back:
            self.seq = max(self.seq, p.seq_floor)
        if not self.epoch or went_back:
            self.epoch = self.rev

    def _open_run(self, p: Publication) -> None:
        if self.rank == RANK[FAILURE]:
            self.cancel = False
        if self.current:
            line = self.current
            if self.rank < 2:
                state = "RETRY" if p.attempt > self.attempt else LOST
                line = _with_state(line, state)
            self.past = [*self.past, line][-RUNS_KEPT + 1 :]
        self.current = ""
        if self.run_id:
            self.older[self.run_id] = self.run
            if len(self.older) > RUNS_KEPT:
                del self.older[next(iter(self.older))]
        self.redelivered = p.redelivered

    def _store_state(self, p: Publication, opens: bool) -> str:
        if p.run_entry:
            self.current = f'{{"run":{self.run},{p.run_entry}'
        if (p.lease or opens) and not p.verdict:
            self.lease = p.lease
        self.srev = self.rev
        self.run_id = p.run_id or self.run_id
        self.attempt = max(p.attempt, 0)
        self.rank = _rank(p)
        self.tail = p.body
        self.verdict = p.state if p.verdict else ""
        return numbers_text(self.rev, self.run, self.seq, self.epoch, self.runs_text) + p.body

    def _store_event(self, p: Publication, opens: bool) -> str:
        self.seq += 1 + p.skipped
        if opens:
            self.run_id, self.attempt, self.rank = p.run_id, p.attempt, 1
            self.lease, self.verdict = p.lease, ""
        payload = f'{{"job":"{p.job}","rev":{self.rev},"run":{self.run},"seq":{self.seq},{p.body}'
        self.events.append(Event(self.seq, p.name, payload))
        return payload

    def _remember(self, p: Publication) -> None:
        self.root, self.user = p.root or self.root, p.user or self.user
        self.told.pop(p.nonce, None)
        self.told[p.nonce] = (p.n, self.rev, self.seq)
        if len(self.told) > SENDERS_REMEMBERED:
            del self.told[next(iter(self.told))]


def _rank(p: Publication) -> int:
    """A verdict about a dead worker is undone by any sign of life of the same run."""
    return RANK[LOST] if p.verdict else RANK.get(p.state, 0)


def _with_state(line: str, state: str) -> str:
    head, _, rest = line.partition('"state":"')
    return f'{head}"state":"{state}"{rest.partition(chr(34))[2]}'
