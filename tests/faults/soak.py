"""The soak: random faults for as long as you like, and not one promise may be broken.

    python -m tests.faults.soak --seconds 600 [--seed 1234]

It goes in rounds: jobs are started, clients come and go, faults strike at random, all of it planned
by the seed; then everything heals, every job must settle, and the checker looks at each. A worker
and a node that no fault kills show by their memory whether anything piles up.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bridge import Job
from bridge.sender.courier import BACKOFF_LAST
from tests.faults.checker import check, seconds_late
from tests.faults.evidence import RECOVERY_SECONDS, Breach, Death, Evidence, Memory
from tests.faults.ledger import Truth
from tests.faults.stack import Stack, resident, running_stack

#: For so long a round strikes, and for so long at most it may take until all is settled.
STRIKE_SECONDS = 10.0
SETTLE_SECONDS = 75.0
JOBS_A_ROUND = 14
FAULTS_A_ROUND = 5
#: The broker brings a dead worker's job again within so many seconds, or never.
REDELIVERY_SECONDS = 30.0
#: A job of a dead worker is given up after so many seconds, where the broker does not bring it.
LOST_FINAL = 20
ALLOWED_GROWTH = 40_000_000
_CLIENTS = ("python", "raw", "raw", "polling", "node", "widget")
_TASKS: tuple[tuple[str, Callable[[random.Random], tuple[Any, ...]]], ...] = (
    ("steps", lambda chance: (chance.randint(5, 120), 0.05, 3)),
    ("steady", lambda chance: (chance.randint(5, 120), 0.05, 3)),
    ("unsteady", lambda chance: (chance.randint(5, 40), 0.05, 2)),
    ("failing", lambda chance: (chance.randint(1, 40), 0.05)),
    ("chatter", lambda chance: (chance.randint(10, 1500), 20)),
)


@dataclasses.dataclass
class Tally:
    """What a soak has seen."""

    seed: int
    rounds: int = 0
    jobs: int = 0
    clients: int = 0
    messages: int = 0
    faults: Counter[str] = dataclasses.field(default_factory=Counter)
    breaches: list[Breach] = dataclasses.field(default_factory=list)
    outcomes: Counter[str] = dataclasses.field(default_factory=Counter)
    unknowable: int = 0
    slowest_recovery: float = 0.0
    memories: list[Memory] = dataclasses.field(default_factory=list)

    def report(self) -> str:
        lines = [
            f"seed {self.seed}: {self.rounds} rounds, {self.jobs} jobs, {self.clients} clients, "
            f"{self.messages} messages, {self.faults.total()} faults, "
            f"{len(self.breaches)} breaches",
            f"the slowest recovery took {self.slowest_recovery:.1f} s",
            f"outcomes: {dict(self.outcomes)}; ends that nobody can know, because the broker or a "
            f"killed process lost the job: {self.unknowable}",
            f"faults: {dict(self.faults)}",
        ]
        for memory in self.memories:
            sizes = [f"{size / 1e6:.0f}" for _, size in memory.samples]
            lines.append(f"{memory.who}, MB after each round: {' '.join(sizes)}")
        lines += [
            f"BREACH of {b.invariant}: job {b.job} {b.client}: {b.what}" for b in self.breaches
        ]
        return "\n".join(lines)


class Soak:
    """Strikes a stack in rounds.

    Args:
        stack: a fresh one.
        seed: decides everything that is planned.
        seconds: for how long a round strikes; jobs, faults: how many there are in one.
        sparing: faults whose names begin so don't happen.
    """

    def __init__(
        self,
        stack: Stack,
        seed: int,
        *,
        seconds: float = STRIKE_SECONDS,
        jobs: int = JOBS_A_ROUND,
        faults: int = FAULTS_A_ROUND,
        sparing: str | None = None,
    ) -> None:
        self.tally = Tally(seed)
        self._seconds = seconds
        self._jobs = jobs
        self._faults_a_round = faults
        self._sparing = sparing
        self._stack = stack
        self._chance = random.Random(seed)
        self._spared = stack.start_worker("-P", "threads", "-c", "6")
        self._victim = stack.start_worker("-c", "3")
        self._thaw: list[int] = []
        self._journal_lost = False
        self.tally.memories = [
            Memory("the worker that is spared", [], ALLOWED_GROWTH),
            Memory("the node that is spared", [], ALLOWED_GROWTH),
        ]

    def round(self) -> list[Breach]:
        """Strike once, heal, and judge; returns the breaches."""
        chance = self._chance
        self._journal_lost = False
        jobs: list[Job] = []
        plan: list[tuple[float, Callable[[], None]]] = []
        for _ in range(self._jobs):
            plan += self._plan_job(chance, jobs)
        for _ in range(self._faults_a_round):
            plan += self._plan_fault(chance)
        began = time.monotonic()
        for at, action in sorted(plan, key=lambda step: step[0]):
            time.sleep(max(0.0, began + at - time.monotonic()))
            action()
        self._heal()
        healed = time.monotonic()
        found = self._settle(jobs, healed)
        self._judge(found)
        return self.tally.breaches

    def _plan_job(
        self, chance: random.Random, jobs: list[Job]
    ) -> Iterable[tuple[float, Callable[[], None]]]:
        task, arguments = chance.choice(_TASKS)
        given = arguments(chance)
        job = Job(ident := f"{chance.getrandbits(64):016x}", self._stack.token(ident))
        jobs.append(job)
        begins = chance.uniform(0, self._seconds - 2)
        yield begins, lambda: self._start(job, task, given)
        for _ in range(chance.randint(1, 3)):
            kind, node = chance.choice(_CLIENTS), chance.randrange(len(self._stack.nodes))
            joins = max(0.0, chance.uniform(begins - 1, self._seconds))
            yield joins, lambda kind=kind, node=node: self._watch(job, kind, node)

    def _start(self, job: Job, task: str, given: tuple[Any, ...]) -> None:
        self.tally.jobs += 1
        self._stack.start(task, *given, task_id=job.id)

    def _watch(self, job: Job, kind: str, node: int) -> None:
        self.tally.clients += 1
        self._stack.watch(job, kind, node)

    def _plan_fault(self, chance: random.Random) -> Iterable[tuple[float, Callable[[], None]]]:
        known = self._faults()
        name = chance.choice(
            [name for name in known if not self._sparing or not name.startswith(self._sparing)]
        )
        begin, end = known[name]
        at = chance.uniform(1, self._seconds - 1)
        lasts = chance.uniform(0.2, self._seconds / 2)
        victim = chance.random()

        def strike() -> None:
            self.tally.faults[name] += 1
            begin(victim)

        yield at, strike
        if end is not None:
            yield at + lasts, lambda: end(victim)

    def _faults(
        self,
    ) -> dict[str, tuple[Callable[[float], None], Callable[[float], None] | None]]:
        """Each fault: how it begins, and how it ends if it does not by itself; by its name."""
        stack = self._stack

        def wire(victim: float) -> Any:
            return stack.wires[int(victim * len(stack.wires))]

        def heal(victim: float) -> None:
            wire(victim).heal()

        return {
            "a wire is cut": (lambda v: wire(v).cut(), heal),
            "a wire is a black hole": (lambda v: wire(v).black_hole(), heal),
            "a wire is a black hole one way": (lambda v: wire(v).black_hole("down"), heal),
            "a wire is slow": (lambda v: wire(v).delay(up=0.1, down=0.1), heal),
            "connections are dropped": (lambda v: wire(v).drop(), None),
            "connections are half closed": (lambda v: wire(v).half_close(), None),
            "a reply is lost": (lambda v: stack.worker_wire.lose_reply(b"EVALSHA"), None),
            "Redis forgets its scripts": (lambda v: self._redis("SCRIPT", "FLUSH"), None),
            "Redis kills its subscribers": (
                lambda v: self._redis("CLIENT", "KILL", "TYPE", "pubsub"), None),
            "Redis is restarted and has lost its data": (self._lose_journal, self._find_journal),
            "a child of the worker is killed": (self._kill_child, None),
            "the worker is killed with its children": (self._kill_worker, self._new_worker),
            "the worker is shut down in mid-task": (self._stop_worker, self._new_worker),
            "the worker is stopped for a while": (self._freeze, self._unfreeze),
            "a node is killed": (self._kill_node, self._new_node),
        }  # fmt: skip

    def _redis(self, *command: str) -> None:
        if self._stack.queue.process is not None:
            with self._stack.queue.client as client:
                client.execute_command(*command)

    def _lose_journal(self, _: float) -> None:
        self._journal_lost = True
        self._stack.queue.stop()

    def _find_journal(self, _: float) -> None:
        if self._stack.queue.process is None:
            self._stack.queue.start()

    def _kill_child(self, victim: float) -> None:
        children = self._victim.family()[1:]
        if children and not self._thaw:
            self._victim.kill(children[int(victim * len(children))])

    def _kill_worker(self, _: float) -> None:
        self._unfreeze(0)
        self._victim.kill()

    def _stop_worker(self, _: float) -> None:
        self._unfreeze(0)
        self._victim.process.terminate()

    def _new_worker(self, _: float) -> None:
        if self._victim.process.poll() is not None:
            self._victim.stop()
            self._victim = self._stack.start_worker("-c", "3")

    def _freeze(self, _: float) -> None:
        if not self._thaw and self._victim.process.poll() is None:
            self._thaw = self._victim.freeze()

    def _unfreeze(self, _: float) -> None:
        self._victim.thaw(self._thaw)
        self._thaw = []

    def _kill_node(self, _: float) -> None:
        self._stack.nodes[-1].process.kill()

    def _new_node(self, _: float) -> None:
        if self._stack.nodes[-1].process.poll() is not None:
            self._stack.nodes[-1].stop()
            self._stack.nodes[-1] = self._stack.start_node(len(self._stack.nodes) - 1)

    def _heal(self) -> None:
        self._unfreeze(0)
        self._find_journal(0)
        self._stack.heal()
        self._new_node(0)
        if (
            self._victim.process.poll() is None
            and b"Warm shutdown" in self._victim.log.read_bytes()
        ):
            self._victim.process.wait(60)
        self._new_worker(0)

    def _settle(self, jobs: list[Job], healed: float) -> list[Evidence]:
        """Wait until every job is as it must be, or the time is up."""
        while True:
            truths = self._stack.truths()
            found = [self._evidence(job, truths, healed) for job in jobs]
            seconds = time.monotonic() - healed
            waiting = [
                each for each in found
                if not (is_unknowable(each) and seconds > REDELIVERY_SECONDS)
                and (_open_yet(each) or check(each))
            ]  # fmt: skip
            if not waiting or seconds > SETTLE_SECONDS:
                return found
            time.sleep(0.25)

    def _evidence(self, job: Job, truths: dict[str, Truth], healed: float) -> Evidence:
        found = self._stack.evidence(
            job,
            truths,
            fault_ended=healed,
            journal_lost=self._journal_lost,
            lost_final=LOST_FINAL,
        )
        found.finals = possible_finals(found.truth, found.deaths)
        return found

    def _judge(self, found: list[Evidence]) -> None:
        self.tally.rounds += 1
        for each in found:
            self.tally.messages += sum(
                entry.what == "live" for history in each.histories for entry in history.entries
            )
            if is_unknowable(each):
                self.tally.unknowable += 1
                continue
            snapshot = each.stored.snapshot or {}
            self.tally.outcomes[str(snapshot.get("state", "unknown to the journal"))] += 1
            broken = check(each)
            if broken:
                path = self._stack.folder / f"evidence-{each.job}.json"
                path.write_text(json.dumps(dataclasses.asdict(each), default=list))
                print(f"evidence: {path}")
            self.tally.breaches += broken
            for history in (h for h in each.histories if h.state is not None):
                took = seconds_late(each, history) + RECOVERY_SECONDS
                self.tally.slowest_recovery = max(self.tally.slowest_recovery, took)
        now = time.monotonic()
        for memory, pids in zip(
            self.tally.memories,
            (self._spared.family(), [self._stack.nodes[0].process.pid]),
            strict=True,
        ):
            memory.samples.append((now, sum(map(resident, pids))))
        self._stack.forget()

    def finish(self) -> list[Breach]:
        """Judge what only the whole can tell; returns all breaches."""
        self.tally.breaches += check(
            Evidence("", finals=frozenset({"-"}), memories=self.tally.memories)
        )
        return self.tally.breaches


def possible_finals(truth: Truth, deaths: list[Death]) -> frozenset[str]:
    """States in which a job may truly end, given who was killed; empty: what the task said."""
    if not truth.executions:
        return frozenset()
    last = truth.executions[-1]
    killed = any(death.pid == last.pid and death.until is None for death in deaths)
    if not killed:
        return frozenset()
    # Killed in its midst; or just after its end, before anybody else knew of it.
    said = {truth.final} if truth.final is not None else set()
    return frozenset({"FAILURE", *said})


def is_unknowable(each: Evidence) -> bool:
    """Whether nothing that the bridge could know tells how a job ended.

    Its message was lost, with a worker that was killed, before any task said a word or between two
    tries; the journal was lost together with the worker that ran it; or that worker was cut off
    while the run began and until it was killed, so that nobody heard of the run at all.
    """
    executions = each.truth.executions
    if not executions:
        return (each.stored.snapshot or {"state": "PENDING"})["state"] in ("PENDING", "FAILURE")
    last = executions[-1]
    if last.outcome == "RETRY":
        return bool(each.deaths)
    deaths = [death for death in each.deaths if death.pid == last.pid]
    unheard = (each.stored.snapshot or {"run": 0})["run"] == 0 and any(
        begin <= last.started and death.at <= end + BACKOFF_LAST
        for death in deaths
        for begin, end in each.silences
    )
    return unheard or (each.journal_lost and bool(deaths))


def _open_yet(each: Evidence) -> bool:
    """Whether a job has not even begun, or has not come to an end that its task told."""
    executions = each.truth.executions
    return not executions or (not each.finals and executions[-1].outcome in ("", "RETRY"))


def main() -> int:
    """Soak, print what was seen, and tell by the exit code whether a promise was broken."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    options.add_argument("--results", type=Path, help="where the tally goes, as JSON")
    given = options.parse_args()
    print(f"seed {given.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    with running_stack(folder, lost_final=LOST_FINAL) as stack:
        soak = Soak(stack, given.seed)
        end = time.monotonic() + given.seconds
        while time.monotonic() < end and not soak.round():
            tally = soak.tally
            print(
                f"{end - time.monotonic():4.0f} s left, round {tally.rounds}: {tally.jobs} jobs, "
                f"{tally.messages} messages, {tally.faults.total()} faults, "
                f"MB {[memory.samples[-1][1] // 10**6 for memory in tally.memories]}", flush=True,
            )  # fmt: skip
        breaches = soak.finish()
        print(soak.tally.report())
    if given.results is not None:
        given.results.write_text(json.dumps(vars(soak.tally), default=dataclasses.asdict))
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
