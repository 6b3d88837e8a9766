"""Lanes: what waits in the outbox for one run of one job."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from bridge.errors import QueueUnavailable
from bridge.journal import Journal
from bridge.records import (
    FINAL,
    PENDING,
    RETRY,
    Publication,
    amended,
    beginning,
    root_apart,
    state_publication,
    tail,
)
from bridge.sender.progress import Progress


class Source(Protocol):
    """Where a lane's newest state comes from."""

    def sample(self) -> object:
        """Something that differs whenever the state does."""

    def finished(self) -> bool:
        """Whether this state is the last one of the lane."""

    def publication(self, journal: Journal) -> Publication | None:
        """The newest state; None if it turns out that there is nothing to say."""


class LiveSource:
    """The state of a run that executes in this process."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        #: What no state of the run changes is made JSON once, by the sender thread.
        self._record_begins = self._entry_begins = ""

    def sample(self) -> object:
        """See `Source`."""
        return self.progress.sample()

    def finished(self) -> bool:
        """See `Source`."""
        return self.progress.finished

    def publication(self, journal: Journal) -> Publication:
        """See `Source`."""
        run = self.progress.run
        if not self._record_begins:
            self._record_begins = beginning(run.record())
            self._entry_begins = beginning({"attempt": run.attempt, "started_at": run.started_at})
        record = self.progress.changing(time.monotonic())
        state = record["state"]
        return Publication(
            job=run.job,
            kind="state",
            body=self._record_begins + tail(record),
            state=state,
            run_id=run.run_id,
            start=True,
            attempt=run.attempt,
            run_entry=self._entry_begins + tail({"ended_at": record["ended_at"], "state": state}),
            root=root_apart(run.root, run.job),
            user=run.user or "",
        )


class FixedSource:
    """A state that is known once and for all, such as PENDING."""

    def __init__(self, record: dict[str, Any]) -> None:
        self._record = record

    def sample(self) -> object:
        """See `Source`."""
        return self._record["state"]

    def finished(self) -> bool:
        """See `Source`."""
        return True

    def publication(self, journal: Journal) -> Publication:
        """See `Source`."""
        return state_publication(self._record)


class AmendedSource:
    """A change of what the journal knows of a job, by a process that doesn't run it.

    The worker's parent process learns that a child died, or that a queued job was revoked; it
    knows the outcome and nothing else, so it reads, changes and compares-and-sets.

    Args:
        blank: the record to start from where the journal knows nothing.
        run_id: the run that ended; empty: none had begun. Where the journal knows another one that
            runs, or has ended, nothing is changed.
        amend: changes a record in place.
    """

    def __init__(
        self, blank: dict[str, Any], run_id: str, amend: Callable[[dict[str, Any]], None]
    ) -> None:
        self._blank = blank
        self._run_id = run_id
        self._amend = amend

    def sample(self) -> object:
        """See `Source`."""
        return id(self)

    def finished(self) -> bool:
        """See `Source`."""
        return True

    def publication(self, journal: Journal) -> Publication | None:
        """See `Source`."""
        (reading,) = journal.read([(self._blank["job"], -1)])
        return amended(
            reading.snapshot or self._blank,
            reading.run_id,
            lambda record: self._end(record, ours=reading.run_id == self._run_id),
        )

    def _end(self, record: dict[str, Any], *, ours: bool) -> bool:
        state = record["state"]
        if state in FINAL:
            return False
        next_try = state == RETRY and record["attempt"] <= self._blank["attempt"]
        concerned = ours or state == PENDING or (next_try and bool(self._run_id))
        if concerned:
            self._amend(record)
        return concerned


class Lane:
    """The newest state and the events, in order, of one run.

    Attributes:
        key: names the lane: the run's nonce, or the job where no run speaks.
        run: the journal's number of the run, 0 until it told.
        floor: the highest rev that the journal told; seq_floor: the seq that it told with it.
        heard_at: monotonic time at which the journal last said how the job stands.
        receivers: how many nodes heard the last message.
        events: what waits, oldest first.
        skipped: events dropped since the last that was taken.
        acknowledged: whether the journal has answered to any state of this lane.
        complete: whether it has taken the last one; if that is told again, it may have lost it.
        stale: the journal refused this run: a newer one has begun.
        look_at: monotonic time at which its state is looked at next, -inf before the first time.
    """

    __slots__ = (
        "_sent", "acknowledged", "complete", "events", "floor", "heard_at", "job", "key", "look_at",
        "receivers", "run", "seq_floor", "skipped", "source", "stale", "tries",
    )  # fmt: skip

    def __init__(self, key: str, job: str, source: Source | None = None) -> None:
        self.key = key
        self.job = job
        self.source = source
        self.run = 0
        self.floor = 0
        self.seq_floor = 0
        self.heard_at = float("-inf")
        self.receivers = 1
        self.events: deque[Publication] = deque()
        self.skipped = 0
        self.acknowledged = False
        self.complete = False
        self.stale = False
        self.look_at = float("-inf")
        self.tries = 0
        self._sent: object = None

    @property
    def changed(self) -> bool:
        """Whether there is a state that was not sent."""
        return self.source is not None and self.source.sample() != self._sent

    @property
    def urgent(self) -> bool:
        """Whether it may not wait for its pace: a first state, an end, or an event."""
        if self.events or (self.look_at == float("-inf") and not self.stale):
            return True
        return self.source is not None and self.source.finished() and self.changed

    @property
    def done(self) -> bool:
        """Whether nothing waits, and nothing more will come."""
        if self.events:
            return False
        if self.source is None:
            return True
        # A superseded run stays known until it has ended, so that its events open no new one.
        return self.source.finished() and (self.stale or not self.changed)

    def take_state(self, journal: Journal) -> Publication | None:
        """Return the newest state and remember that it was taken."""
        if self.source is None or not self.changed:
            return None
        sample, before = self.source.sample(), self._sent
        self._sent = sample  # a state that can't be made is not tried again until it changes
        try:
            return self.source.publication(journal)
        except QueueUnavailable:
            self._sent = before
            raise

    def is_last_word(self, publication: Publication) -> bool:
        """Whether no other state comes after this one."""
        if self.source is None or publication.kind != "state":
            return False
        return is_end(publication) or not isinstance(self.source, LiveSource)

    def send_again(self) -> None:
        """Have the newest state sent again, and at once."""
        self._sent = None
        self.look_at = float("-inf")


def is_end(publication: Publication) -> bool:
    """Whether this tells how a run ended."""
    return publication.state in FINAL or publication.state == RETRY
