"""The journal's interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from bridge.records import Publication, Reading, Receipt

Cancelled = Literal["ok", "unknown", "finished"]


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs of a root or a user, or of all, newest first.

    Attributes:
        jobs: their ids.
        cursor: what to ask with for the next page, None after the last.
    """

    jobs: list[str]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class VitalSigns:
    """Whether a job's worker lives, and how new what is known of it is.

    Attributes:
        job: the job's id.
        rev: the rev of its last state, 0 if there is none; seq: its last event's.
        running: whether it is in the middle of a run.
        waiting: whether it is queued, for its first run or the next, or not known at all.
        verdict: ``LOST`` or ``FAILURE`` while a sweep's word about a dead worker stands.
        lease: the lease of the process that executes it; empty if the job never ran.
        beat: where that lease stands; it changes with each renewal. Empty: nowhere.
    """

    job: str
    rev: int
    seq: int
    running: bool
    waiting: bool
    verdict: str
    lease: str
    beat: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How a job stands in the journal, for who executes it.

    Attributes:
        rev: the rev of its last message, 0 if the journal doesn't know the job.
        run_id: the nonce of its current run.
        cancel: whether somebody asked to cancel it.
        verdict: as in `VitalSigns`.
    """

    rev: int
    run_id: str
    cancel: bool
    verdict: str


class Carrier(Protocol):
    """Carries to the nodes what was journalled, where the journal's own Redis doesn't.

    No method waits for longer than an answer of the message queue may take, nor raises because
    there was none: what is lost is in the journal.

    Attributes:
        dropped: how many messages of jobs were not carried.
    """

    dropped: int

    def carry(self, channels: Sequence[str], frame: bytes, *, keep: bool) -> None:
        """Send a frame.

        Args:
            channels: the job's channel, then its root's and its user's, where there are any.
            frame: see `bridge.frames`.
            keep: whether it is sent after an outage, too; else it may be dropped.
        """

    def listened_to(self, channels: Sequence[str]) -> bool:
        """Whether any node listened to the last message of that job, as far as is known."""

    def close(self) -> None:
        """Close the connection; the next message opens it anew."""


class Journal(Protocol):
    """Remembers the newest state and the last events of each job.

    Every method raises `QueueUnavailable` while the journal can't be reached.
    """

    @property
    def promises_off(self) -> Sequence[str]:
        """What this journal can't promise, each with its name, a colon and plain words."""

    def publish(self, publications: Sequence[Publication]) -> list[Receipt]:
        """Store states and events in order, give them their numbers, and tell who listens.

        A publication that the journal can't take gets a receipt that says ``broken``; the others
        go on. After `QueueUnavailable` the same list may be published again: a repeat is known by
        its (nonce, n) and is neither stored nor told twice.
        """

    def read(self, requests: Sequence[tuple[str, int]]) -> list[Reading]:
        """Read jobs, each with its events after a seq (-1: no events), in one round trip."""

    def list_jobs(self, room: str, limit: int, cursor: str | None = None) -> Page:
        """List the jobs of a root's or a user's room, or of `ALL_JOBS`, newest first."""

    def cancel(self, job: str) -> Cancelled:
        """Ask a job to stop; says whether it is unknown or has ended."""

    def renew(self, leases: Sequence[str], seconds: float) -> None:
        """Show that the holders of leases live: each lease takes another beat.

        Args:
            leases: their names.
            seconds: within how many the next beat is promised.
        """

    def standings(self, jobs: Sequence[str]) -> list[Standing]:
        """Tell how jobs stand, in one round trip."""

    def vital_signs(self, jobs: Sequence[str]) -> list[VitalSigns]:
        """Tell of jobs whether their workers live."""

    def running(self, limit: int, offset: int = 0) -> list[str]:
        """List jobs in the middle of a run, those first that began first."""

    def forget_running(self, jobs: Sequence[str]) -> None:
        """Take jobs from that list, because the journal no longer knows them."""

    def take_turn(self, seconds: float) -> bool:
        """Become, or stay, the one node that looks after jobs which nobody watches.

        Args:
            seconds: for how long, unless this is called again.

        Returns:
            False while another node is.
        """

    def announce(self, version: str) -> list[str]:
        """Note that a version uses the channel; returns those that did within minutes.

        Renewing leases notes it, too.
        """

    def ping(self) -> None:
        """Raise `QueueUnavailable` if the journal doesn't answer."""

    def settle(self, seconds: float) -> bool:
        """Wait until what was published is stored where others read it; returns whether it is."""

    def close(self) -> None:
        """Close the connections; the next call opens them anew."""
