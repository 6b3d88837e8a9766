"""What the bridge adds to a worker before the first task is done: time and memory. Goal 12."""

from __future__ import annotations

import subprocess

import psutil
from celery import Celery

from benchmarks.machine import ROOT, SERVER_CORE, Server, private_redis, python, wait_until
from benchmarks.report import Subject, alternate, spread

#: What a worker loads anyhow comes first.
_IMPORT = """
import sys, time
import celery.bin.celery, celery.bin.worker, celery.apps.worker, celery.backends.redis, redis
begun = time.perf_counter()
{statement}
print((time.perf_counter() - begun) * 1000)
"""
_STATEMENTS = {
    "import bridge": "import bridge",
    "from bridge import push_progress": "from bridge import push_progress",
    "flask_socketio, for comparison": "import flask_socketio",
}
_TASKS = 8


def import_ms(name: str) -> dict[str, float]:
    program = _IMPORT.format(statement=_STATEMENTS[name])
    told = subprocess.run(
        ["taskset", "-c", str(SERVER_CORE), *python("-c", program)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return {"ms": float(told.stdout)}


def child_mb(url: str, bridged: bool) -> float:
    """The private memory of a prefork child that has done some tasks, in MB."""
    environ = {
        "BENCH_REDIS": url, "BENCH_BRIDGED": str(int(bridged)), "BRIDGE_MESSAGE_QUEUE": url,
    }  # fmt: skip
    command = python(
        "-m", "celery", "-A", "benchmarks.peers.tasks", "worker", "-c", "1", "-P", "prefork",
        "--without-gossip", "--without-mingle",
    )  # fmt: skip
    port = int(url.rpartition(":")[2].partition("/")[0])  # Redis answers there already
    worker = Server(command, port, **environ)
    app = Celery("bench", broker=url, backend=url)
    try:
        process = psutil.Process(worker.pid)
        done = [app.send_task("work") for _ in range(_TASKS)]
        wait_until(lambda: all(result.ready() for result in done), "the tasks", 60)
        (child,) = process.children()
        return float(child.memory_full_info().uss) / 1e6
    finally:
        worker.process.terminate()
        worker.process.wait(20)
        app.close()


def run(rounds: int) -> Subject:
    subject = Subject("startup", "What the bridge adds to a worker: time to load, and memory")
    for name in _STATEMENTS:
        import_ms(name)  # writes the compiled files
    found = alternate(rounds, list(_STATEMENTS), import_ms)
    with private_redis() as url:
        pairs = [(child_mb(url, False), child_mb(url, True)) for _ in range(min(rounds, 2))]
    subject.table(
        "Milliseconds to import, in a process that has loaded what a worker loads",
        ["statement", "ms"],
        [[name, spread(each["ms"], 1)] for name, each in found.items()],
    )
    subject.table(
        f"Private memory of a prefork child after {_TASKS} tasks, MB",
        ["without the bridge", "with it", "more"],
        [[f"{a:.1f}", f"{b:.1f}", f"{b - a:.1f}"] for a, b in pairs],
    )
    subject.goal(
        12, "ms to import push_progress in a worker", 60,
        found["from bridge import push_progress"]["ms"],
    )  # fmt: skip
    subject.goal(12, "MB of private memory more in a prefork child", 8, [b - a for a, b in pairs])
    return subject
