"""The ledger: what tasks really did, in a file that outlives them. The checker believes it alone.

A line is written before the deed, so that whatever a client can see stands there.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery.exceptions import Ignore, Reject, Retry

from bridge import Progress
from bridge.errors import BridgeError, JobCancelled

#: Names the ledger's file to workers.
VARIABLE = "FAULTS_LEDGER"


def note(**fields: Any) -> None:
    """Write a line; whole, whichever process writes at the same time."""
    line = json.dumps({"at": time.monotonic(), "pid": os.getpid(), **fields}) + "\n"
    target = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(target, line.encode())
    finally:
        os.close(target)


class Deed:
    """One execution of a task: does what a `Progress` does, and writes it down.

    Args:
        progress: the task's; its `meta` tells from now on which execution a state comes from.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.id = uuid.uuid4().hex[:12]
        self.slowest = 0.0
        self._emitted = 0

    def note(self, what: str, **fields: Any) -> None:
        note(job=self.progress.job, deed=self.id, what=what, **fields)

    def update(self, current: float, total: float | None = None) -> None:
        self.note("update", current=current)
        with self._unblocked():
            self.progress.update(current, total=total)

    def plan(self, *ranges: tuple[int, int]) -> None:
        """Write down updates of whole numbers, first to last, that are too many for a line each."""
        for first, last in ranges:
            self.note("updates", first=first, last=last)

    def emit(self, name: str, count: int = 1, data: dict[str, Any] | None = None) -> None:
        """Emit numbered events; their data tells the execution and the number, and more."""
        first = self._emitted + 1
        self._emitted += count
        self.note("emit", name=name, first=first, last=self._emitted)
        for number in range(first, self._emitted + 1):
            with self._unblocked():
                self.progress.emit(name, {**(data or {}), "deed": self.id, "number": number})

    def emitted_elsewhere(self, count: int) -> None:
        """Go on after the numbers that a forked copy of this used."""
        self._emitted += count

    @contextlib.contextmanager
    def _unblocked(self) -> Iterator[None]:
        before = time.perf_counter()
        try:
            yield
        except JobCancelled:
            raise
        except BaseException as error:
            self.note("raised", error=f"{type(error).__name__}: {error}")
            raise
        finally:
            self.slowest = max(self.slowest, time.perf_counter() - before)


@contextlib.contextmanager
def deed(progress: Progress, **about: Any) -> Iterator[Deed]:
    """Write down one execution from its start to its end, whatever that is."""
    doing = Deed(progress)
    doing.note("start", attempt=progress.run.attempt, run_id=progress.run.run_id, **about)
    outcome = "SUCCESS"
    try:
        progress.meta["deed"] = doing.id
        yield doing
    except BaseException as error:
        outcome = _outcome(error)
        raise
    finally:
        doing.note("end", outcome=outcome, slowest=round(doing.slowest, 6))


def _outcome(error: BaseException) -> str:
    if isinstance(error, Retry):
        return "RETRY"
    if isinstance(error, JobCancelled):
        return "REVOKED"
    if isinstance(error, Reject):
        return "RETRY" if error.requeue else "FAILURE"
    if isinstance(error, Ignore):
        return "SUCCESS"
    return f"BROKEN: {error}" if isinstance(error, BridgeError) else "FAILURE"


@dataclass
class Execution:
    """What one execution did.

    Attributes:
        id: the deed's id; pid: its process.
        started ended: monotonic seconds; ended None: nobody knows.
        outcome: Celery's word for how it ended, empty if it did not say.
        updates: each `current` in order, ranges of whole numbers as (first, last).
        events: how many were emitted.
        slowest: the longest call into the bridge, in seconds.
        raised: what the bridge raised into the task.
    """

    id: str
    pid: int = 0
    started: float = 0.0
    ended: float | None = None
    outcome: str = ""
    updates: list[tuple[float, float]] = field(default_factory=list)
    events: int = 0
    slowest: float = 0.0
    raised: list[str] = field(default_factory=list)


@dataclass
class Truth:
    """What all executions of one job did, in the order in which they began."""

    executions: list[Execution] = field(default_factory=list)

    @property
    def final(self) -> str | None:
        """The state in which the job must end; None: it can't be known, or it has not ended."""
        if not self.executions:
            return None
        outcome = self.executions[-1].outcome
        return outcome if outcome in ("SUCCESS", "FAILURE", "REVOKED") else None

    def of(self, deed_id: object) -> Execution | None:
        return next((each for each in self.executions if each.id == deed_id), None)


def read(path: Path) -> dict[str, Truth]:
    """Read what every job did."""
    found: dict[str, dict[str, Execution]] = defaultdict(dict)
    # Whatever comes after the last end of a line is being written just now.
    whole, _, _ = (path.read_text() if path.exists() else "").rpartition("\n")
    for text in whole.splitlines():
        line = json.loads(text)
        if "deed" not in line:
            continue
        done = found[line["job"]].setdefault(line["deed"], Execution(line["deed"]))
        _apply(done, line)
    return {
        job: Truth(sorted(done.values(), key=lambda each: each.started))
        for job, done in found.items()
    }


def _apply(done: Execution, line: dict[str, Any]) -> None:
    match line["what"]:
        case "start":
            done.pid, done.started = line["pid"], line["at"]
        case "update":
            done.updates.append((line["current"], line["current"]))
        case "updates":
            done.updates.append((line["first"], line["last"]))
        case "emit":
            done.events = line["last"]
        case "raised":
            done.raised.append(line["error"])
        case "end":
            done.ended, done.outcome = line["at"], line["outcome"]
            done.slowest = line["slowest"]
