"""What the courier sends through."""

from __future__ import annotations

from typing import Protocol

from bridge.journal import Journal
from bridge.records import Publication, Receipt


class Sink(Protocol):
    """What the courier sends through; `bridge.sender.emitter.Emitter` is the real one."""

    @property
    def journal(self) -> Journal:
        """For reading what is amended, and for the lease."""

    def publish(self, publications: list[Publication]) -> list[Receipt]:
        """Journal and publish, in order; raises QueueUnavailable."""

    def send(self, name: str, data: object, *, to: str, namespace: str) -> None:
        """Emit past the journal; raises QueueUnavailable."""

    def join(self, sid: str, namespace: str, job: str) -> None:
        """Make a client a member of a job's room; raises QueueUnavailable."""

    def settle(self, seconds: float) -> bool:
        """Wait until what was published has arrived at the broker; returns whether it has."""
