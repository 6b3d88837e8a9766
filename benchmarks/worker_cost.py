"""What one step of a task costs in the worker: ours and what a user would pick instead.

Run by `make bench`; see benchmarks/README.md for how to read it. Each contestant runs the same bare
loop in turn, several rounds; from each round the bare loop's own time is taken off, and what is
printed is the ratio to tqdm in the same round: its median and its range.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.progress import track as rich_track
from tqdm import tqdm

from bridge.sender.events import events_of
from bridge.sender.outbox import Outbox
from bridge.sender.process import open_emitter
from bridge.sender.progress import Progress
from bridge.sender.run import Run
from bridge.settings import Settings

Loop = Callable[[int], None]
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


def seconds(loop: Loop, steps: int) -> float:
    begun = time.perf_counter()
    loop(steps)
    return time.perf_counter() - begun


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


def table(title: str, costs: dict[str, list[float]], peer: str) -> list[str]:
    lines = [
        f"### {title}",
        "",
        f"| contestant | ns a step | ratio to {peer} | range |",
        "|---|---|---|---|",
    ]
    for name, each in costs.items():
        ratios = [ours / theirs for ours, theirs in zip(each, costs[peer], strict=True)]
        lines.append(
            f"| {name} | {statistics.median(each):.0f} | {statistics.median(ratios):.2f} "
            f"| {min(ratios):.2f} to {max(ratios):.2f} |"
        )
    return [*lines, ""]


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queue", help="URL of a live Redis; default: a private one is started")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path, help="write the tables to this file, too")
    given = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        live = given.queue or stack.enter_context(private_redis())
        text = report(given, {"queue dead": DEAD_QUEUE, "queue live": live})
    print(text)
    if given.results:
        given.results.write_text(f"# Results\n\nMade by `make bench`.\n\n{text}")


@contextlib.contextmanager
def private_redis() -> Iterator[str]:
    """A redis-server for this run only; its URL."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/redis.sock"
        server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", address, "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        try:
            while not Path(address).exists():
                if server.poll() is not None:
                    raise SystemExit("redis-server did not start")
                time.sleep(0.01)
            yield f"unix://{address}"
        finally:
            server.terminate()
            server.wait()


def report(given: argparse.Namespace, queues: dict[str, str]) -> str:
    """Measure all contestants; the tables."""
    opened = {
        name: opener(Settings.load({"message_queue": url, "channel": "bench"}, environ={}))
        for name, url in queues.items()
    }
    track: dict[str, Loop] = {"tqdm": with_tqdm, "rich.progress.track": with_rich}
    update: dict[str, Loop] = {"tqdm": with_tqdm_update}
    for name, open_progress in opened.items():
        track[f"progress.track, {name}"] = tracking(open_progress)
        update[f"progress.update, {name}"] = updating(open_progress)
    lines = [
        f"Python {platform.python_version()}, tqdm {version('tqdm')}, rich {version('rich')}, "
        f"celery-bridge {version('celery-bridge')}; {given.steps} steps, {given.rounds} rounds.",
        "",
        *table("A step of a loop", measure(track, given.steps, given.rounds), "tqdm"),
        *table("One update by hand", measure(update, given.steps, given.rounds), "tqdm"),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
