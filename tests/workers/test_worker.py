"""The deployed worker: a real process on a real Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from celery import Celery
from redis import Redis

from bridge.journal.redis import RedisJournal
from bridge.settings import Settings
from tests.conftest import RedisServer, wait_until
from workers.app import QUEUE, make_app

REPOSITORY = Path(__file__).parents[2]
FINAL = ("SUCCESS", "FAILURE", "REVOKED")


class Worker:
    """A worker process, a client that sends it tasks, and the journal that it writes."""

    def __init__(self, url: str, folder: Path) -> None:
        self.uploads = folder / "uploads"
        self.uploads.mkdir()
        self.settings = Settings.load({"message_queue": url}, environ={})
        self.app: Celery = make_app(self.settings)
        self.app.set_default()
        self._client = Redis.from_url(url)
        self._journal = RedisJournal(self._client, self.settings)
        environ = {**os.environ, "BRIDGE_MESSAGE_QUEUE": url, "DEMO_UPLOADS": str(self.uploads)}
        command = (
            *(sys.executable, "-m", "celery", "-A", "workers", "worker", "--concurrency", "1"),
            *("--without-mingle", "--without-gossip", "--hostname", "tested@here"),
        )
        self.process = subprocess.Popen(command, env=environ, cwd=REPOSITORY)

    def upload(self, content: bytes) -> str:
        name = os.urandom(16).hex()
        (self.uploads / name).write_bytes(content)
        return name

    def run(self, name: str, /, **arguments: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Send a task; return its final state and its events."""
        return self.wait(self.send(name, **arguments), *FINAL)

    def send(self, name: str, /, **arguments: Any) -> str:
        return str(self.app.send_task(f"workers.{name}", kwargs=arguments, queue=QUEUE).id)

    def wait(self, job: str, *states: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        found: list[Any] = []

        def arrived() -> bool:
            found[:] = self._journal.read([(job, 0)])
            return found[0].snapshot is not None and found[0].snapshot["state"] in states

        wait_until(arrived, seconds=30, what=f"{job} to be one of {states}: {found}")
        return found[0].snapshot, found[0].events

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        finally:
            self.process.kill()
            self.process.wait()
        self._client.close()
        self.app.close()


@pytest.fixture(scope="module")
def worker(shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    # A database of its own: other tests' workers would take our tasks otherwise.
    made = Worker(shared_redis.url.removesuffix("0") + "7", tmp_path_factory.mktemp("worker"))
    yield made
    made.close()


pytestmark = [pytest.mark.e2e, pytest.mark.redis]


def test_checksum_folder(worker: Worker) -> None:
    state, _ = worker.run("checksum_folder")
    assert state["state"] == "SUCCESS", state
    assert state["unit"] == "B"
    assert state["current"] == state["total"] == state["result"]["bytes"] > 1_000_000
    assert [stage["name"] for stage in state["stages"]] == ["Listing", "Hashing"]
    assert state["result"]["digest"].startswith("sha256:")
    assert state["worker"] == "tested@here"


def test_import_csv(worker: Worker) -> None:
    state, events = worker.run("import_csv", upload=worker.upload(b"a,b\n1,2\n3\n"), name="x.csv")
    assert state["result"] == {"name": "x.csv", "columns": ["a", "b"], "rows": 1, "rejected": 1}
    assert [(event["name"], event["data"]["line"]) for event in events] == [("row_rejected", 3)]
    assert list(worker.uploads.iterdir()) == []


def test_count_words(worker: Worker) -> None:
    uploads = [worker.upload(b"one two"), worker.upload(b"three")]
    state, events = worker.run("count_words", uploads=uploads, names=["a", "b"])
    assert (state["result"]["files"], state["result"]["words"]) == (2, 3)
    assert [event["data"]["name"] for event in events] == ["a", "b"]


def test_flaky_tries_again_and_succeeds(worker: Worker) -> None:
    job = worker.send("flaky", failures=1, countdown=1)
    retrying, _ = worker.wait(job, "RETRY")
    assert retrying["error"] == {"type": "Hiccup", "message": "attempt 1 of 2 failed, as asked"}
    assert retrying["next_at"] > retrying["updated_at"]
    state, _ = worker.wait(job, *FINAL)
    assert (state["state"], state["attempt"], state["result"]) == ("SUCCESS", 1, {"attempts": 2})


def test_flaky_tries_again_and_fails(worker: Worker) -> None:
    state, _ = worker.run("flaky", failures=1, countdown=0, outcome="failure")
    assert state["state"] == "FAILURE"
    assert state["error"] == {
        "type": "Breakdown",
        "message": "attempt 2 of 2 failed, as asked: none is left",
    }


def test_metronome(worker: Worker) -> None:
    state, events = worker.run("metronome", steps=20, interval=0.01)
    assert (state["state"], state["current"], state["total"]) == ("SUCCESS", 20, 20)
    assert [event["seq"] for event in events] == list(range(1, 11))


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("metronome", {"steps": -1}, "steps=-1: a whole number from 1 to 100,000 is needed"),
        ("flaky", {"outcome": "maybe"}, "outcome='maybe': one of success, failure is needed"),
        ("checksum_folder", {"folder": "/etc"}, "folder='/etc' is not on the list"),
        ("import_csv", {"upload": "../../etc/passwd"}, "32 hexadecimal digits are needed"),
        ("count_words", {"uploads": "x"}, "a list of names of uploads is needed"),
    ],
)
def test_what_the_queue_brings_is_not_trusted(
    worker: Worker, name: str, arguments: dict[str, Any], why: str
) -> None:
    state, _ = worker.run(name, **arguments)
    assert state["error"]["type"] == "ValueError"
    assert why in state["error"]["message"]


def test_a_job_whose_process_is_killed_runs_again(worker: Worker) -> None:
    job = worker.send("metronome", steps=20, interval=0.05)
    worker.wait(job, "PROGRESS")
    [child] = psutil.Process(worker.process.pid).children()
    child.kill()
    state, _ = worker.wait(job, *FINAL)
    assert state["state"] == "SUCCESS", state
    assert len(state["runs"]) == 2
