"""A Redis and a worker of the examples, and their apps as processes in their own folder."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from bridge.settings import Settings
from tests.conftest import redis_server_or_skip, wait_until
from tests.nodes import SECRET

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@contextmanager
def process(folder: Path, environ: dict[str, str], *command: str) -> Iterator[Path]:
    """A process in the examples' folder, for the length of a block; yields its log."""
    log = folder / f"{uuid.uuid4().hex}.log"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BRIDGE_", "CELERY_"))}
    with log.open("wb") as stream:
        running = subprocess.Popen(
            [sys.executable, *command], env={**kept, **environ}, cwd=EXAMPLES, stdout=stream,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield log
    finally:
        running.terminate()
        try:
            running.wait(30)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


class Stage:
    """A Redis, a worker of the examples, and what the apps are told."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder = folder
        self.environ = environ
        self.settings = Settings.load(environ=environ)

    @contextmanager
    def app(self, *command: str, port: int, **environ: str) -> Iterator[str]:
        """Yield the address of an app."""
        with process(self.folder, {**self.environ, **environ}, *command) as log:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(url), seconds=20, what=f"the app: {log}")
            yield url


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=30).status_code < 500
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("examples")
    redis = redis_server_or_skip(folder)
    environ = {
        "BRIDGE_MESSAGE_QUEUE": redis.url,
        "BRIDGE_CHANNEL": uuid.uuid4().hex,
        "BRIDGE_SECRET_KEY": SECRET,
    }
    worker = ("-m", "celery", "-A", "tasks", "worker", "-c", "1", "-l", "INFO")
    try:
        with process(folder, environ, *worker) as log:
            wait_until(lambda: b" ready." in log.read_bytes(), seconds=40, what=f"worker: {log}")
            yield Stage(folder, environ)
    finally:
        redis.stop()
