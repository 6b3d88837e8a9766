"""What one step of a task costs in the worker: ours and what a user would pick. Goals 9 and 10.

Each contestant runs the same bare loop in turn, several rounds; from each round the bare loop's own
time is taken off.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import track as rich_track
from tqdm import tqdm

from benchmarks.machine import private_redis
from benchmarks.report import Subject, ratios, spread
from bridge.sender.events import events_of
from bridge.sender.outbox import Outbox
from bridge.sender.process import open_emitter
from bridge.sender.progress import Progress
from bridge.sender.run import Run
from bridge.settings import Settings

Loop = Callable[[int], None]
STEPS = 1_000_000
REPEATS = 5
#: A task of about two seconds: so many steps, each of so much work.
WHOLE_STEPS = 20_000
WORK = 1000
DEAD_QUEUE = "redis://127.0.0.1:1/0"


def bare(steps: int) -> None:
    for _ in range(steps):
        pass


def with_tqdm(steps: int) -> None:
    for _ in tqdm(range(steps), file=io.StringIO()):
        pass


def with_rich(steps: int) -> None:
    for _ in rich_track(range(steps), console=Console(file=io.StringIO())):
        pass


def tracking(open_progress: Callable[[], Progress]) -> Loop:
    def loop(steps: int) -> None:
        progress = open_progress()
        for _ in progress.track(range(steps)):
            pass
        progress.finish("SUCCESS")

    return loop


def updating(open_progress: Callable[[], Progress]) -> Loop:
    def loop(steps: int) -> None:
        progress = open_progress()
        update = progress.update
        for step in range(steps):
            update(step)
        progress.finish("SUCCESS")

    return loop


def with_tqdm_update(steps: int) -> None:
    bar = tqdm(total=steps, file=io.StringIO())
    for _ in range(steps):
        bar.update()
    bar.close()


def opener(settings: Settings) -> Callable[[], Progress]:
    """Progress of a running job whose sender thread is at work on a queue."""
    outbox = Outbox(settings, open_emitter(settings))

    def open_progress() -> Progress:
        run = Run(job=f"bench-{time.monotonic_ns()}")
        progress = Progress(run, send_event=events_of(run, lambda: outbox), told_end=outbox.ended)
        outbox.open(progress)
        return progress

    return open_progress


def busy(steps: int) -> int:
    """Some pure Python, as a task that computes."""
    total = 0
    for number in range(steps):
        total += number * number % 7
    return total


def slow_down(open_progress: Callable[[], Progress], rounds: int) -> list[float]:
    """The time of a computing task that tells its progress, to the same without."""
    found = []
    for _ in range(rounds):
        cpu = time.process_time()
        for _ in range(WHOLE_STEPS):
            busy(WORK)
        bare_seconds = time.process_time() - cpu
        progress = open_progress()
        cpu = time.process_time()
        for _ in progress.track(range(WHOLE_STEPS)):
            busy(WORK)
        found.append((time.process_time() - cpu) / bare_seconds)
        progress.finish("SUCCESS")
    return found


def seconds(loop: Loop, steps: int) -> float:
    """The least of a few times: whatever else the machine does only ever adds."""
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        loop(steps)
        times.append(time.perf_counter() - begun)
    return min(times)


def measure(loops: dict[str, Loop], steps: int, rounds: int) -> dict[str, list[float]]:
    """Nanoseconds a step over the bare loop, for each contestant and round, in alternation."""
    costs: dict[str, list[float]] = {name: [] for name in loops}
    for loop in loops.values():
        loop(steps // 10)
    for _ in range(rounds):
        floor = seconds(bare, steps)
        for name, loop in loops.items():
            costs[name].append((seconds(loop, steps) - floor) / steps * 1e9)
    return costs


def run(rounds: int) -> Subject:
    subject = Subject("worker_cost", "What one step of a task costs in the worker")
    with private_redis() as live:
        opened = {
            name: opener(Settings.load({"message_queue": url, "channel": "bench"}, environ={}))
            for name, url in {"queue dead": DEAD_QUEUE, "queue live": live}.items()
        }
        track: dict[str, Loop] = {"tqdm": with_tqdm, "rich.progress.track": with_rich}
        update: dict[str, Loop] = {"tqdm's update": with_tqdm_update}
        for name, open_progress in opened.items():
            track[f"progress.track, {name}"] = tracking(open_progress)
            update[f"progress.update, {name}"] = updating(open_progress)
        tracked = measure(track, STEPS, rounds)
        updated = measure(update, STEPS, rounds)
        slowed = slow_down(opened["queue live"], rounds)
    tell(subject, "A step of a loop, nanoseconds", tracked, "tqdm")
    tell(subject, "One update by hand, nanoseconds", updated, "tqdm's update")
    for name in opened:
        ours = tracked[f"progress.track, {name}"]
        for peer, limit in (("tqdm", 0.4), ("rich.progress.track", 0.6)):
            subject.goal(
                9, f"a tracked step, to {peer}, {name}", limit, ratios(ours, tracked[peer])
            )
        ours = [each / 1000 for each in updated[f"progress.update, {name}"]]
        subject.goal(10, f"update(), microseconds, {name}", 1.0, ours)
    subject.goal(9, "CPU of a computing task that tells its progress, to without", 1.01, slowed)
    return subject


def tell(subject: Subject, title: str, costs: dict[str, list[float]], peer: str) -> None:
    subject.table(
        title,
        ["contestant", "ns", f"ratio to {peer}"],
        [
            [name, spread(each, 0), spread(ratios(each, costs[peer]))]
            for name, each in costs.items()
        ],
    )
