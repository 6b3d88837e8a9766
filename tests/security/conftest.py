"""Processes that are attacked, and the real servers behind them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import wait_until
from tests.nodes import clients, job, node, shared_node, shared_settings, worker

__all__ = ["clients", "job", "node", "shared_node", "shared_settings", "worker"]

ROOT = Path(__file__).parents[2]


@contextmanager
def celery_worker(
    log: Path,
    environ: Mapping[str, str],
    level: str = "INFO",
    app: str = "workers.app",
    options: Sequence[str] = ("-c", "1"),
) -> Iterator[None]:
    """A Celery worker as a process of its own, for the length of a block; else the demo's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BRIDGE_", "CELERY_"))}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", app, "worker", "-l", level, *options],
            env={**kept, **environ}, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_until(lambda: b" ready." in log.read_bytes(), seconds=100, what=f"the worker: {log}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
