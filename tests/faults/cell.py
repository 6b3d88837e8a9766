"""A cell of the matrix: jobs, who watches them, one fault, and the verdict."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterable
from typing import Any

from bridge import Job
from tests.faults.checker import check
from tests.faults.clients import Recorder
from tests.faults.evidence import Breach, Evidence
from tests.faults.stack import Stack, Worker

#: Whether faults take as long as the matrix says, and not only as long as they need.
LONG = os.environ.get("FAULTS_LONG") == "1"
#: Where `make faults` collects what the cells saw.
RESULTS = os.environ.get("FAULTS_RESULTS")
#: So long after the verdict nothing may change it.
_AFTERMATH_SECONDS = 0.3


class Cell:
    """One cell.

    Args:
        stack: what it breaks.
        column: of the matrix; name: the fault.
    """

    def __init__(self, stack: Stack, column: str, name: str) -> None:
        self.stack = stack
        self.column = column
        self.name = name
        self.long = LONG
        self.note = ""
        self.fault_ended: float | None = None
        self._recovery: float | None = None
        self._settled = False
        self._jobs: set[str] = set()
        self._workers: list[Worker] = []

    def start_worker(self, *options: str, **environ: str) -> Worker:
        """Start a worker that ends with this cell; see `Stack.start_worker`."""
        self._workers.append(self.stack.start_worker(*options, **environ))
        return self._workers[-1]

    def start(self, task: str, *args: Any, **options: Any) -> Job:
        """Start a job of this cell; see `Stack.start`."""
        job = self.stack.start(task, *args, **options)
        self._jobs.add(job.id)
        return job

    def promise(self, job: str) -> Job:
        """Get a token for a job of this cell that is started later, with this ``task_id``."""
        self._jobs.add(job)
        return Job(job, self.stack.token(job))

    def watch(self, job: Job, *kinds: str, node: int = 0, **options: Any) -> list[Recorder]:
        """Let clients of these kinds watch a job, and wait until each has an answer.

        Args:
            kinds: of `clients.KINDS`, or ``widget``; default: python, raw and node.
            node: which of the nodes they use.
        """
        made = [
            self.stack.watch(job, kind, node, **options)
            for kind in kinds or ("python", "raw", "node")
        ]
        for recorder in made:
            recorder.wait_answered()
        return made

    def hold(self, short: float, long: float | None = None) -> None:
        """Let the fault last: as long as it needs, in `make faults` as the matrix says."""
        time.sleep(long if LONG and long is not None else short)

    def fault_over(self) -> None:
        """The fault has ended now; from here on the seconds of recovery count."""
        self.fault_ended = time.monotonic()

    def settle(
        self,
        *jobs: Job,
        finals: Iterable[str] = (),
        seconds: float = 30,
        **facts: Any,
    ) -> list[Evidence]:
        """Wait until no promise is broken; fail with all that are, if that does not come true.

        Args:
            jobs: all of this cell.
            finals: where a job may end, if the task can't know that (it was killed, say).
            seconds: how long the end may take in all; how late it may be is the checker's matter.
            facts: more for `Evidence`.
        """
        end = time.monotonic() + seconds
        given = {"finals": frozenset(finals), "fault_ended": self.fault_ended, **facts}
        while True:
            found, breaches = self._examined(jobs, given)
            if breaches and time.monotonic() < end:
                time.sleep(0.1)
                continue
            if not breaches:
                time.sleep(_AFTERMATH_SECONDS)
                found, breaches = self._examined(jobs, given)
            assert not breaches, self._report(found, breaches)
            self._recovery = max((_recovery(each) for each in found), default=0.0)
            self._settled = True
            return found

    def leave(self) -> None:
        """Let all clients of this cell go."""
        for recorder in [r for r in self.stack.recorders if r.job in self._jobs]:
            recorder.close()
            self.stack.recorders.remove(recorder)

    def close(self) -> None:
        """Leave the stack as it was, and tell the matrix."""
        self.stack.heal()
        self.leave()
        for worker in self._workers:
            worker.stop()
        if RESULTS is not None:
            line = {
                "column": self.column, "cell": self.name, "server": self.stack.server,
                "kept": self._settled, "recovery": self._recovery, "note": self.note, "long": LONG,
            }  # fmt: skip
            with open(RESULTS, "a") as results:
                results.write(json.dumps(line) + "\n")

    def _examined(
        self, jobs: Iterable[Job], given: dict[str, Any]
    ) -> tuple[list[Evidence], list[Breach]]:
        truths = self.stack.truths()
        found = [self.stack.evidence(job, truths, **given) for job in jobs]
        return found, [breach for each in found for breach in check(each)]

    def _report(self, found: list[Evidence], breaches: list[Breach]) -> str:
        told = [f"  invariant {b.invariant}, job {b.job}, {b.client or '-'}: {b.what}"
                for b in breaches]  # fmt: skip
        path = self.stack.folder / f"evidence-{time.time_ns()}.json"
        path.write_text(json.dumps([dataclasses.asdict(each) for each in found], default=list))
        logs = [str(worker.log) for worker in self.stack.workers]
        return "\n".join([f"{len(breaches)} breaches:", *told[:30], f"see {path}", *logs])


def _recovery(evidence: Evidence) -> float:
    """Seconds from the end of the fault until the last client had news again, or had had all."""
    if evidence.fault_ended is None:
        return 0.0
    waits = []
    for history in evidence.histories:
        news = [at for at, _ in history.shown if at > evidence.fault_ended]
        waits.append(news[0] - evidence.fault_ended if news else 0.0)
    return round(max(waits, default=0.0), 2)
