"""How far this node has followed each job: what a resync needs, and what tells a repeat."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, NamedTuple

from bridge.relay.members import Member
from bridge.relay.message import Aside, Message

#: So many jobs are followed; of the longest silent ones the place is forgotten first.
MAX_TRAILS: Final = 50_000


class Place(NamedTuple):
    """How far a job was followed.

    Attributes:
        rev: of the last message passed on; seq: the last event's, -1: only the state is known.
        run: the run that was told of last, 0: none.
    """

    rev: int
    seq: int
    run: int


class Trail:
    """How far a job was followed.

    Attributes:
        rev: the highest rev that was passed on; 0: none yet.
        seq: the last event's seq then.
        run: the run that was told of last, 0: none.
        read: the lowest (rev, seq) that a watcher was told by its ack, as long as nothing was
            passed on; None: no ack yet.
        reached: who got the message with `rev`, where more than one of its rooms has members here;
            None: everyone.
        aside: where messages wait while the job is resynced; None: it isn't.
    """

    __slots__ = ("aside", "reached", "read", "rev", "run", "seq")

    def __init__(self) -> None:
        self.rev = 0
        self.seq = 0
        self.run = 0
        self.read: tuple[int, int] | None = None
        self.reached: set[Member] | None = None
        self.aside: Aside | None = None

    def told(self, run: int, rev: int, seq: int) -> None:
        """A watcher was told this by the ack of its watch."""
        self.run = max(self.run, run)
        if not self.rev:
            self.read = min(self.read or (rev, seq), (rev, seq))

    def advance(self, message: Message) -> None:
        """A message was passed on."""
        self.rev = message.rev
        self.run = message.run
        self.seq = message.seq
        self.reached = None

    @property
    def place(self) -> Place:
        """That after which a resync tells everything."""
        rev, seq = (self.rev, self.seq) if self.rev else self.read or (0, -1)
        return Place(rev, seq, self.run)


class Trails:
    """The trails of the jobs that this node's clients follow, bounded."""

    def __init__(self) -> None:
        self._trails: OrderedDict[str, Trail] = OrderedDict()

    def of(self, job: str) -> Trail:
        """Return a job's trail, a new one the first time."""
        trail = self._trails.get(job)
        if trail is None:
            trail = self._trails[job] = Trail()
            if len(self._trails) > MAX_TRAILS:
                self._trails.popitem(last=False)
        return trail

    def forget(self, job: str) -> None:
        """Nobody here follows a job any longer."""
        self._trails.pop(job, None)

    def __iter__(self) -> Iterator[tuple[str, Trail]]:
        """Every job with its trail."""
        return iter(list(self._trails.items()))

    def __len__(self) -> int:
        """How many jobs are followed."""
        return len(self._trails)
