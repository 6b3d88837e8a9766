"""What the checker looks at: who received, showed, stored and did what, and when.

Every time is a monotonic second of this machine, the same in all its processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.ledger import Truth

#: A worker that dies is told within LEASE + this many seconds.
DEATH_SECONDS = 5.0
#: What a fault hid is on the screen so many seconds after its end.
RECOVERY_SECONDS = 5.0


@dataclass(frozen=True)
class Entry:
    """Something that happened to a client.

    Attributes:
        at: when.
        what: ``connect disconnect ask ack live``.
        name: a live message's name.
        data: a live message's payload, or an ack.
        link: which of the client's connections.
        since: what was asked with; asked: when (an ack's).
    """

    at: float
    what: str
    name: str = ""
    data: Any = None
    link: int = 0
    since: int = 0
    asked: float = 0.0


@dataclass
class History:
    """Everything that one client received of one job, and what it showed of it by its rule.

    Attributes:
        client: its name.
        entries: what came, raw.
        shown: each (when, state) that was on its screen.
        told: each (when, event) that it told, in order.
        gaps: each (when, first, last) that it was told to be gone; last None: nobody knows.
        since: the seq after which it wanted events.
        ordered: whether what came is in the order of the wire: python-socketio's client hands out
            each message in a thread of its own.
    """

    client: str
    entries: list[Entry] = field(default_factory=list)
    shown: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    told: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    gaps: list[tuple[float, int, int | None]] = field(default_factory=list)
    since: int = 0
    ordered: bool = True

    @property
    def state(self) -> dict[str, Any] | None:
        """What is on the screen now."""
        return self.shown[-1][1] if self.shown else None


@dataclass
class Stored:
    """What the journal has of a job at the end.

    Attributes:
        snapshot: its newest state, None if it knows none.
        events: those retained, in order.
    """

    snapshot: Mapping[str, Any] | None = None
    events: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Death:
    """A process that the harness killed, or stopped until it let it go on."""

    pid: int
    at: float
    until: float | None = None


@dataclass(frozen=True)
class Probe:
    """Two requests without permission: for a job that exists, and for one that does not."""

    how: str
    existing: Any
    missing: Any


@dataclass(frozen=True)
class Abuse:
    """Something malformed that was sent, and what lived on."""

    what: str
    connection_lives: bool
    node_lives: bool


@dataclass(frozen=True)
class Memory:
    """Resident bytes of a process over time, or how much of something is held."""

    who: str
    samples: list[tuple[float, int]]
    allowed_growth: int


@dataclass
class Evidence:
    """All about one job under faults.

    Attributes:
        job: its id.
        truth: what it really did.
        histories: what its watchers received and showed.
        stored: what the journal has in the end.
        fault_ended: when the last fault was over; None: there was none.
        finals: states in which the job may end, where the truth can't tell (a killed worker).
        lease: LEASE, in seconds.
        lost_final: so many seconds after its worker's death a job may still come back.
        deaths: which worker processes died.
        silences: when no worker reached the queue, or heard from it: (from, until). Nobody can tell
            that from a death, if it is longer than the lease.
        journal_lost: whether the journal lost its data.
        events_kept: how many events the journal retains.
        slow_limit: seconds that no call into the bridge may take.
        probes abuses memories: about what has no history.
        strangers: clients that may see nothing of the job.
        channels_left: the job's channels that a node listens on though nobody watches.
    """

    job: str
    truth: Truth = field(default_factory=Truth)
    histories: list[History] = field(default_factory=list)
    stored: Stored = field(default_factory=Stored)
    fault_ended: float | None = None
    finals: frozenset[str] = frozenset()
    lease: float = 2.0
    lost_final: float = 0.0
    deaths: list[Death] = field(default_factory=list)
    silences: list[tuple[float, float]] = field(default_factory=list)
    journal_lost: bool = False
    events_kept: int = 1000
    slow_limit: float = 1.0
    probes: list[Probe] = field(default_factory=list)
    abuses: list[Abuse] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    strangers: list[History] = field(default_factory=list)
    channels_left: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Breach:
    """A promise that was broken.

    Attributes:
        invariant: 1 to 9, as DESIGN.md counts them.
        job: whose; client: who saw it, empty if nobody did.
        what: in words.
    """

    invariant: int
    job: str
    client: str
    what: str
