"""What the bridge takes of a worker's throughput and of a task's calls while its queue is away.

Run by `make bench`; see benchmarks/README.md for how to read it. One prefork child works off tasks
of 10 ms. Contestants take turns, several rounds: the bare task; and the task under `push_progress`,
with the bridge's queue alive, refusing connections, and swallowing them like a black hole. Celery's
broker is another Redis, which always works.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from celery import Celery

from bridge import push_progress
from bridge.sender.events import events_of
from bridge.sender.outbox import Outbox
from bridge.sender.process import open_emitter
from bridge.sender.progress import Progress
from bridge.sender.run import Run
from bridge.settings import Settings

TASK_SECONDS = 0.01
MARKS = "BENCH_MARKS"

app = Celery("throughput")
app.conf.update(
    broker_url=os.environ.get("BENCH_BROKER", "memory://"),
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=64,
    task_default_queue=os.environ.get("BENCH_QUEUE", "celery"),
)


def work() -> None:
    """Note the time, and take some."""
    with open(os.environ[MARKS], "a") as marks:
        marks.write(f"{time.monotonic()}\n")
    time.sleep(TASK_SECONDS)


bare = app.task(name="bare")(work)
bridged = app.task(name="bridged")(push_progress(work))


@contextlib.contextmanager
def redis(folder: str) -> Iterator[str]:
    """A redis-server for this run only; its URL."""
    port = free_port()
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--save", "", "--dir", folder],
        stdout=subprocess.DEVNULL,
    )
    try:
        while not answers(port):
            time.sleep(0.01)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """The URL of a queue that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as hole:
        yield f"redis://127.0.0.1:{hole.getsockname()[1]}/0"


@contextlib.contextmanager
def worker(folder: str, broker: str, bridge_queue: str) -> Iterator[Callable[[Any, int], float]]:
    """A worker of one prefork child; gives what measures so many tasks, in tasks a second."""
    name = f"bench-{time.monotonic_ns()}"
    marks = Path(folder) / name
    log = Path(folder) / f"{name}.log"
    environ = {
        **os.environ, "BENCH_BROKER": broker, "BENCH_QUEUE": name, MARKS: str(marks),
        "BRIDGE_MESSAGE_QUEUE": bridge_queue, "BRIDGE_CHANNEL": name,
    }  # fmt: skip
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "benchmarks.throughput", "worker", "-c", "1",
             "-l", "INFO", "--without-gossip", "--without-mingle", "--without-heartbeat"],
            env=environ, stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip
    client = Celery("sends", broker=broker)

    def measure(task: Any, count: int) -> float:
        marks.unlink(missing_ok=True)
        for _ in range(count):
            # Sent as a client without the task's code does, which needs no bridge.
            client.send_task(task.name, queue=name)
        while not marks.exists() or len(marks.read_text().splitlines()) < count:
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.1)
        begun = [float(line) for line in marks.read_text().splitlines()]
        return (count - 1) / (begun[-1] - begun[0])

    try:
        while b" ready." not in log.read_bytes():
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.05)
        yield measure
    finally:
        process.terminate()
        process.wait()
        client.close()


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path, help="write the table to this file, too")
    given = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        broker, alive = stack.enter_context(redis(folder)), stack.enter_context(redis(folder))
        app.conf.update(BRIDGE_MESSAGE_QUEUE=alive)  # where what is sent is said to be PENDING
        queues = {
            "queue alive": alive,
            "queue refuses": f"redis://127.0.0.1:{free_port()}/0",
            "queue is a black hole": stack.enter_context(black_hole()),
        }
        workers = {
            name: stack.enter_context(worker(folder, broker, url)) for name, url in queues.items()
        }
        text = report(given, workers) + calls(queues["queue is a black hole"])
    print(text)
    if given.results:
        given.results.write_text(f"# Results: throughput\n\nMade by `make bench`.\n\n{text}")


def report(given: argparse.Namespace, workers: dict[str, Callable[[Any, int], float]]) -> str:
    """Measure all contestants in turn; the table."""
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in workers}
    for each in workers.values():
        each(bare, 20)  # what a first task loads is not what is measured
    for _ in range(given.rounds):
        for name, measure in workers.items():
            rates[name].append((measure(bridged, given.tasks), measure(bare, given.tasks)))
    lines = [
        f"Python {platform.python_version()}, celery {version('celery')}, "
        f"celery-bridge {version('celery-bridge')}; {given.tasks} tasks of {TASK_SECONDS * 1e3:g} "
        f"ms a round, {given.rounds} rounds, one prefork child.",
        "",
        "| push_progress | tasks a second | share of the bare task's | range |",
        "|---|---|---|---|",
    ]
    for name, pairs in rates.items():
        shares = [ours / theirs for ours, theirs in pairs]
        lines.append(
            f"| {name} | {statistics.median(ours for ours, _ in pairs):.1f} "
            f"| {statistics.median(shares):.1%} | {min(shares):.1%} to {max(shares):.1%} |"
        )
    return "\n".join([*lines, ""])


def calls(url: str, count: int = 200_000, jobs: int = 200) -> str:
    """How long single calls of a task take; the table."""
    settings = Settings.load({"message_queue": url, "channel": "bench"}, environ={})
    outbox = Outbox(settings, open_emitter(settings))
    times: dict[str, list[float]] = {"update": [], "emit": [], "the end of a task": []}
    for job in range(jobs):
        run = Run(job=f"bench-{job}")
        progress = Progress(run, send_event=events_of(run, lambda: outbox), told_end=outbox.ended)
        outbox.wait_acknowledged(outbox.open(progress), 0.2)
        for step in range(count // jobs):
            times["update"].append(seconds(progress.update, step))
        for _ in range(10):
            times["emit"].append(seconds(progress.emit, "e", {"a": 1}))
        times["the end of a task"].append(seconds(progress.finish, "SUCCESS"))
    lines = [
        "",
        "| call, queue a black hole | times | p50 | p99 | longest |",
        "|---|---|---|---|---|",
    ]
    for name, each in times.items():
        p50, p99 = (statistics.quantiles(each, n=100)[at] * 1e6 for at in (49, 98))
        lines.append(
            f"| {name} | {len(each)} | {p50:.1f} us | {p99:.1f} us | {max(each) * 1e3:.2f} ms |"
        )
    return "\n".join([*lines, ""])


def seconds(call: Callable[..., object], *arguments: Any) -> float:
    begun = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
