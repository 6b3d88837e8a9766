"""A web node as a process of its own, what a worker would publish, and a client: for many tests."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import socketio

from bridge.journal import RedisJournal, connect
from bridge.message_queue.choice import carrier_of
from bridge.records import Publication, Receipt, blank_record
from bridge.settings import Settings
from bridge.tokens import Tokens
from tests.conftest import wait_until

SECRET = "a secret for tests only"
NAMESPACE = "/bridge"
ROOT = Path(__file__).parent.parent


class Worker:
    """Publishes as a worker does, without Celery."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.redis = connect(settings.journal_url)
        weakref.finalize(self, self.redis.close)
        carrier = carrier_of(settings)
        if carrier is not None:
            weakref.finalize(self, carrier.close)
        self.journal = RedisJournal(self.redis, settings, carrier)
        self.tokens = Tokens(settings.require_secret(), seconds=settings.retention)
        self._nonce = uuid.uuid4().hex
        self._n = itertools.count(1)

    def state(self, job: str, state: str = "PROGRESS", **fields: Any) -> Receipt:
        (receipt,) = self.journal.publish([self.state_publication(job, state, **fields)])
        return receipt

    def event(self, job: str, name: str = "row", data: Any = None, **rooms: str) -> Receipt:
        (receipt,) = self.journal.publish([self.event_publication(job, name, data, **rooms)])
        return receipt

    def state_publication(self, job: str, state: str = "PROGRESS", **fields: Any) -> Publication:
        record = {**blank_record(job, "tests.task"), "state": state, **fields}
        entry = {"attempt": 0, "started_at": 1.0, "ended_at": None, "state": state}
        return Publication(
            job=job, kind="state", state=state, body=json.dumps(record)[1:],
            run_id="" if state == "PENDING" else "run", start=state == "STARTED",
            run_entry="" if state == "PENDING" else json.dumps(entry)[1:],
            root=fields.get("root") or "", user=fields.get("user") or "",
            nonce=self._nonce, n=next(self._n),
        )  # fmt: skip

    def event_publication(
        self, job: str, name: str = "row", data: Any = None, **rooms: str
    ) -> Publication:
        body = json.dumps({"at": 1.0, "data": data})[1:]
        return Publication(
            job=job, kind="event", name=name, body=body, run_id="run",
            nonce=self._nonce, n=next(self._n), **rooms,
        )  # fmt: skip


class Client:
    """A Socket.IO client that we did not write, with what it received."""

    def __init__(
        self,
        url: str,
        namespace: str = NAMESPACE,
        transports: Sequence[str] = ("websocket",),
        path: str = "socket.io",
        **options: Any,
    ) -> None:
        self.namespace = namespace
        self.received: list[tuple[str, Any]] = []
        self.sio = socketio.Client(handle_sigint=False, **options)
        self.sio.on("*", lambda name, data: self.received.append((name, data)), namespace=namespace)
        self.sio.connect(
            url, namespaces=[namespace], transports=list(transports), socketio_path=path,
            wait_timeout=30,
        )  # fmt: skip

    @property
    def sid(self) -> str:
        sid = self.sio.get_sid(self.namespace)
        assert sid is not None
        return sid

    def ask(self, event: str, *arguments: Any) -> Any:
        data = arguments[0] if len(arguments) == 1 else arguments
        return self.sio.call(event, data, namespace=self.namespace, timeout=30)

    def currents(self) -> list[Any]:
        """The `current` of each state received."""
        return [data["current"] for name, data in list(self.received) if name == "progress"]

    def seqs(self) -> list[int]:
        """The seq of each event received."""
        return [data["seq"] for name, data in list(self.received) if name != "progress"]

    def wait(self, current: Any, seconds: float = 15) -> None:
        wait_until(lambda: current in self.currents(), seconds=seconds, what=f"state {current}")

    def close(self) -> None:
        self.sio.shutdown()


class Node:
    """`bridge serve` in a process of its own."""

    PROGRAM = (sys.executable, "-c", "from bridge.cli import main; main()", "serve")

    def __init__(
        self,
        settings: Settings,
        *arguments: str,
        program: Sequence[str] = PROGRAM,
        **environ: str,
    ) -> None:
        self.settings = settings
        self.log: list[str] = []
        given = {
            "BRIDGE_MESSAGE_QUEUE": settings.message_queue,
            "BRIDGE_CHANNEL": settings.channel,
            "BRIDGE_SECRET_KEY": SECRET,
            "BRIDGE_PORT": "0",
            "PYTHONPATH": str(ROOT),
        }
        if settings.journal:
            given["BRIDGE_JOURNAL"] = settings.journal
        kept = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
        self.process = subprocess.Popen(
            [*program, *arguments],
            env={**kept, **given, **environ}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(lambda: self.url or self.process.poll() is not None, what="the node")
        if not self.url:
            pytest.fail("the node did not start:\n" + "\n".join(self.log))

    @property
    def url(self) -> str:
        lines = [line for line in list(self.log) if "listening on " in line]
        return lines[0].partition("listening on ")[2].strip() if lines else ""

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()
            self.process.wait(30)
            self._reader.join(5)

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr:
            for line in self.process.stderr:
                self.log.append(line.rstrip())


@contextmanager
def running(settings: Settings, *arguments: str, **environ: str) -> Iterator[Node]:
    """A node for the length of a block."""
    node = Node(settings, *arguments, **environ)
    try:
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="session")
def shared_settings(shared_redis: Any) -> Settings:
    """Settings of the node that many tests share; each uses job ids of its own."""
    return Settings.load(
        {
            "message_queue": shared_redis.url,
            "channel": f"test-{uuid.uuid4().hex}",
            "secret_key": SECRET,
        },
        environ={},
    )


@pytest.fixture(scope="session")
def shared_node(shared_settings: Settings) -> Iterator[Node]:
    """An eventlet node that many tests share."""
    with running(shared_settings) as node:
        yield node


@pytest.fixture
def node(shared_node: Node) -> Node:
    assert shared_node.process.poll() is None, "\n".join(shared_node.log)
    return shared_node


@pytest.fixture
def worker(shared_settings: Settings) -> Worker:
    return Worker(shared_settings)


@pytest.fixture
def job() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def clients(node: Node) -> Iterator[Any]:
    """Makes clients of the shared node; closes them all."""
    made: list[Client] = []

    def make(**options: Any) -> Client:
        made.append(Client(node.url, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


def read_until(condition: Any, seconds: float) -> bool:
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def holds_for(condition: Any, seconds: float = 0.3) -> bool:
    """Whether nothing changes for a while: for what must not happen."""
    return not read_until(lambda: not condition(), seconds)


def fresh_python(program: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter of its own; it passed if it printed ``pass`` last."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=50,
        env={**kept, "PYTHONPATH": str(ROOT), **environ},
    )  # fmt: skip


def passes(program: str, **environ: str) -> None:
    """Fail unless a program runs through in a fresh interpreter."""
    done = fresh_python(program + "\nprint('pass')", **environ)
    assert done.stdout.endswith("pass\n"), done.stderr
