"""The journal's interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from bridge.records import Publication, Reading, Receipt

Cancelled = Literal["ok", "unknown", "finished"]


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs of a root or a user, newest first.

    Attributes:
        jobs: their ids.
        cursor: what to ask with for the next page, None after the last.
    """

    jobs: list[str]
    cursor: str | None


class Journal(Protocol):
    """Remembers the newest state and the last events of each job.

    Every method raises `QueueUnavailable` while the journal can't be reached.
    """

    def publish(self, publications: Sequence[Publication]) -> list[Receipt]:
        """Store states and events in order, give them their numbers, and tell who listens.

        A publication that the journal can't take gets a receipt that says ``broken``; the others
        go on. After `QueueUnavailable` the same list may be published again: a repeat is known by
        its (nonce, n) and is neither stored nor told twice.
        """

    def read(self, requests: Sequence[tuple[str, int]]) -> list[Reading]:
        """Read jobs, each with its events after a seq (-1: no events), in one round trip."""

    def list_jobs(self, room: str, limit: int, cursor: str | None = None) -> Page:
        """List the jobs of a root's or a user's room, newest first."""

    def cancel(self, job: str) -> Cancelled:
        """Ask a job to stop; says whether it is unknown or has ended."""

    def ping(self) -> None:
        """Raise `QueueUnavailable` if the journal doesn't answer."""
