"""What the bridge takes of a worker's throughput and of a task's calls while its queue is away.

Run by `make bench`; see benchmarks/README.md for how to read it. One prefork child works off tasks
of 10 ms. Contestants take turns, several rounds: the bare task; and the task under `push_progress`,
with the bridge's queue alive, refusing connections, and swallowing them like a black hole. Celery's
broker is another Redis, which always works.
"""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from celery import Celery

from benchmarks.machine import free_port, private_redis
from benchmarks.report import Subject, spread
from bridge import push_progress
from bridge.sender.events import events_of
from bridge.sender.outbox import Outbox
from bridge.sender.process import open_emitter
from bridge.sender.progress import Progress
from bridge.sender.run import Run
from bridge.settings import Settings

TASK_SECONDS = 0.01
TASKS = 300
JOBS = 200
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
            preexec_fn=lambda: os.sched_setaffinity(0, range(os.cpu_count() or 1)),
        )  # fmt: skip
    client = Celery("sends", broker=broker, set_as_current=False)

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


def run(rounds: int) -> Subject:
    subject = Subject("throughput", "What the bridge takes of a worker while its queue is away")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        broker, alive = stack.enter_context(private_redis()), stack.enter_context(private_redis())
        app.conf.update(BRIDGE_MESSAGE_QUEUE=alive)  # where what is sent is said to be PENDING
        queues = {
            "queue alive": alive,
            "queue refuses": f"redis://127.0.0.1:{free_port()}/0",
            "queue is a black hole": stack.enter_context(black_hole()),
        }
        workers = {
            name: stack.enter_context(worker(folder, broker, url)) for name, url in queues.items()
        }
        tell_rates(subject, workers, rounds)
        tell_calls(subject, queues["queue is a black hole"])
    return subject


def tell_rates(
    subject: Subject, workers: dict[str, Callable[[Any, int], float]], rounds: int
) -> None:
    """Measure all contestants in turn."""
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in workers}
    for each in workers.values():
        each(bare, 20)  # what a first task loads is not what is measured
    for _ in range(min(rounds, 3)):
        for name, measure in workers.items():
            rates[name].append((measure(bridged, TASKS), measure(bare, TASKS)))
    subject.table(
        f"Tasks of {TASK_SECONDS * 1e3:g} ms in one prefork child, {TASKS} a round",
        ["queue", "tasks a second", "per cent of the bare task's"],
        [
            [
                name,
                spread([ours for ours, _ in pairs], 1),
                spread([100 * ours / theirs for ours, theirs in pairs], 1),
            ]
            for name, pairs in rates.items()
        ],
    )
    subject.notes.append(
        "With the queue alive a task's start waits for the answer to STARTED, so that a cancelled "
        "job never runs; while the queue is known to be away nothing waits."
    )


def tell_calls(subject: Subject, url: str) -> None:
    """How long single calls of a task take."""
    settings = Settings.load({"message_queue": url, "channel": "bench"}, environ={})
    outbox = Outbox(settings, open_emitter(settings))
    times: dict[str, list[float]] = {"update": [], "emit": [], "the end of a task": []}
    for job in range(JOBS):
        run = Run(job=f"bench-{job}")
        progress = Progress(run, send_event=events_of(run, lambda: outbox), told_end=outbox.ended)
        outbox.wait_acknowledged(outbox.open(progress), 0.2)
        for step in range(1000):
            times["update"].append(seconds(progress.update, step))
        for _ in range(10):
            times["emit"].append(seconds(progress.emit, "e", {"a": 1}))
        times["the end of a task"].append(seconds(progress.finish, "SUCCESS"))
    subject.table(
        "One call while the queue is a black hole",
        ["call", "times", "p50, microseconds", "p99", "longest, milliseconds"],
        [
            [
                name,
                len(each),
                *(f"{statistics.quantiles(each, n=100)[at] * 1e6:.1f}" for at in (49, 98)),
                f"{max(each) * 1e3:.2f}",
            ]
            for name, each in times.items()
        ],
    )


def seconds(call: Callable[..., object], *arguments: Any) -> float:
    begun = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - begun
