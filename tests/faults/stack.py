"""A whole system of real processes with a proxy on every wire: what the cells break.

    worker --(worker wire)--> queue <--(node wires)-- two nodes <--(client wires)-- clients

The queue is a redis-server that carries and remembers, or only remembers where a RabbitMQ carries,
which then has wires of its own. Celery's broker and result backend are a redis-server of their
own, so that a fault of the bridge's queue is not one of Celery's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from celery import Celery

from bridge import Job, submit
from bridge.errors import QueueUnavailable
from bridge.journal import RedisJournal, connect
from bridge.settings import Settings
from bridge.tokens import Tokens
from tests.conftest import RabbitServer, RedisServer, free_port, missing, wait_until
from tests.faults import ledger
from tests.faults.clients import KINDS, Recorder, RuleRecorder, WidgetRecorder
from tests.faults.evidence import Death, Evidence, Stored
from tests.faults.proxy import Proxy
from tests.nodes import ROOT, SECRET, Node
from tests.redis_servers import OldRedis

TASKS = "tests.faults.faulty_tasks"


#: The Redis servers that the promise is about, by name.
SERVERS: dict[str, type[RedisServer]] = {"redis-7": RedisServer, "redis-6.2": OldRedis}


class Worker:
    """A Celery worker and its children, in a session of their own."""

    def __init__(self, folder: Path, environ: dict[str, str], *options: str) -> None:
        self.log = folder / f"worker-{uuid.uuid4().hex[:6]}.log"
        self.deaths: list[Death] = []
        self._leaving = False
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", TASKS, "worker", "-l", "INFO",
                 "--without-gossip", "--without-mingle", *options],
                env=environ, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        wait_until(
            lambda: b" ready." in self.log.read_bytes() or self.process.poll() is not None,
            seconds=40, what=f"the worker: {self.log}",
        )  # fmt: skip
        if self.process.poll() is not None:
            pytest.fail("the worker did not start:\n" + self.log.read_text())

    @property
    def pid(self) -> int:
        return self.process.pid

    def family(self) -> list[int]:
        """The parent and all its children."""
        try:
            parent = psutil.Process(self.pid)
            return [parent.pid, *(child.pid for child in parent.children(recursive=True))]
        except psutil.NoSuchProcess:
            return []

    def kill(self, *pids: int) -> None:
        """Kill -9 these of its processes, by default all of them."""
        for pid in pids or self.family():
            self.deaths.append(Death(pid, time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def freeze(self) -> list[int]:
        """Stop all its processes, as a machine that is suspended does."""
        family = self.family()
        for pid in family:
            self.deaths.append(Death(pid, time.monotonic(), until=float("inf")))
            os.kill(pid, signal.SIGSTOP)
        return family

    def thaw(self, family: list[int]) -> None:
        for pid in reversed(family):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def memory(self) -> int:
        """Resident bytes of all its processes."""
        return sum(resident(pid) for pid in self.family())

    def leave(self) -> None:
        """Begin a warm shutdown; a second signal would make it a cold one."""
        if self.process.poll() is None and not self._leaving:
            self._leaving = True
            self.process.terminate()

    def stop(self, seconds: float = 15) -> None:
        """A warm shutdown, and what it takes if that doesn't end."""
        self.leave()
        if self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


def resident(pid: int) -> int:
    """Resident bytes of a process, 0 if it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


class Stack:
    """The system, and how to use and to examine it.

    Args:
        folder: for logs, the ledger, and the servers' files.
        server: what is the queue; one that a cell gave is closed by that cell.
        lease: LEASE, in seconds.
        nodes: how many web nodes.
        redis_options: more of the queue's own options.
        node_environ: variables of the nodes' own.
        carrier: a RabbitMQ that carries, so that the queue only remembers.
        **settings: other settings, by their names in `Settings`.
    """

    def __init__(
        self,
        folder: Path,
        server: type[RedisServer] = RedisServer,
        *,
        lease: float = 2,
        nodes: int = 2,
        redis_options: tuple[str, ...] = (),
        node_environ: Mapping[str, str] = {},
        carrier: RabbitServer | None = None,
        **settings: Any,
    ) -> None:
        if shutil.which("redis-server") is None:
            missing("redis-server", "apt-get install redis-server")
        self.folder = folder
        self.server = "redis-6.2" if issubclass(server, OldRedis) else "redis-7"
        self.lease = lease
        self.channel = f"faults-{uuid.uuid4().hex}"
        self.ledger = folder / "ledger.jsonl"
        self._node_environ = node_environ
        self.carrier = carrier
        self.workers: list[Worker] = []
        self.recorders: list[Recorder] = []
        self._given = {f"BRIDGE_{name.upper()}": str(value) for name, value in settings.items()}
        self._given |= {"BRIDGE_LEASE": str(lease)}
        with contextlib.ExitStack() as starting:
            self.queue = server(folder, *redis_options)
            starting.callback(self.queue.stop)
            self.broker = RedisServer(folder)
            starting.callback(self.broker.stop)
            self.worker_wire = Proxy(self.queue.port)
            self.node_wires = [Proxy(self.queue.port) for _ in range(nodes)]
            # By the port of the wire to the queue that the same process has.
            self._carrier_wires = {} if carrier is None else {
                wire.port: Proxy(carrier.port) for wire in (self.worker_wire, *self.node_wires)
            }  # fmt: skip
            self.ports = [free_port() for _ in range(nodes)]
            self.client_wires = [Proxy(port) for port in self.ports]
            for wire in self.wires:
                starting.callback(wire.close)
            self.settings = self._settings(self.queue.port)
            self._redis = connect(self.settings.journal_url)
            starting.callback(self._redis.close)
            self.journal = RedisJournal(self._redis, self.settings)
            self.nodes: list[Node] = []
            starting.callback(self._stop_processes)
            for index in range(nodes):
                self.nodes.append(self.start_node(index))
            self._app = Celery("starts", broker=self._broker(0), backend=self._broker(1))
            self._app.conf.update(
                {**self._environ(self.queue.port), "task_default_queue": self.channel}
            )
            starting.callback(self._app.close)
            self._closing = starting.pop_all()

    @property
    def wires(self) -> list[Proxy]:
        queue = [self.worker_wire, *self.node_wires]
        return [*queue, *self._carrier_wires.values(), *self.client_wires]

    @property
    def carrier_wires(self) -> list[Proxy]:
        """The worker's and then the nodes' wires to the RabbitMQ that carries."""
        return list(self._carrier_wires.values())

    def start_node(self, index: int, **environ: str) -> Node:
        """Start a web node at its place; `nodes[index]` is to be set by whoever restarts one."""
        return Node(
            self._settings(self.node_wires[index].port),
            **{
                **self._given, "BRIDGE_PORT": str(self.ports[index]),
                "BRIDGE_RESULT_BACKEND": self._broker(1), **self._node_environ, **environ,
            },
        )  # fmt: skip

    def start_worker(self, *options: str, **environ: str) -> Worker:
        """Start a worker; by default prefork with two children.

        Args:
            options: Celery's, e.g. ``"-P", "threads", "-c", "8"``.
            environ: variables of its own.
        """
        given = {
            **{k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")},
            **self._environ(self.worker_wire.port),
            "FAULTS_BROKER": self._broker(0),
            "FAULTS_BACKEND": self._broker(1),
            "FAULTS_QUEUE": self.channel,
            ledger.VARIABLE: str(self.ledger),
            **environ,
        }
        options = options if "-c" in options else ("-c", "2", *options)
        self.workers.append(Worker(self.folder, given, *options))
        return self.workers[-1]

    def start(self, task: str, *args: Any, **options: Any) -> Job:
        """Submit one of `faulty_tasks`, by its name there."""
        self._app.set_current()
        return submit(f"{TASKS}.{task}", args, **options)

    def token(self, job: str) -> str:
        """A token to watch a job, whether there is one or not."""
        return Tokens(self.settings.require_secret(), seconds=3600).issue(jobs=job)

    def watch(self, job: Job, kind: str = "python", node: int = 0, **options: Any) -> Recorder:
        """Let a recording client watch a job, through its client wire.

        Args:
            job: what it watches.
            kind: one of `KINDS`, or ``widget``.
            node: which node it uses.
            options: of the recorder.
        """
        name, url = f"{kind}@{node}", self.url(node)
        if kind != "widget":
            return self.record(name, job, [KINDS[kind](url)], **options)
        self.recorders.append(WidgetRecorder(name, url, job.id, job.token, **options))
        return self.recorders[-1]

    def record(self, name: str, job: Job, links: Any, since: int = 0) -> Recorder:
        """Let a client with links of its own watch a job."""
        recorder = RuleRecorder(name, links, job.id, job.token, since)
        self.recorders.append(recorder)
        return recorder

    def url(self, node: int = 0) -> str:
        """Where clients find a node: at the client's end of its wire."""
        return f"http://127.0.0.1:{self.client_wires[node].port}"

    def heal(self) -> None:
        """Every wire lets everything through again."""
        for wire in self.wires:
            wire.heal()

    def truth(self, job: str) -> ledger.Truth:
        """What a job really did, so far."""
        return self.truths().get(job, ledger.Truth())

    def truths(self) -> dict[str, ledger.Truth]:
        """What every job really did, so far."""
        return ledger.read(self.ledger)

    def stored(self, job: str) -> Stored:
        """What the journal has of a job; it may be slow just now, or away."""
        snapshot, events, since = None, [], 0
        end = time.monotonic() + 20
        while True:
            try:
                (reading,) = self.journal.read([(job, since)])
            except QueueUnavailable:
                if time.monotonic() > end:
                    raise
                continue
            snapshot = reading.snapshot
            if not reading.events:
                return Stored(snapshot, events)
            events += reading.events
            since = reading.events[-1]["seq"]

    def evidence(self, job: Job, truths: dict[str, ledger.Truth], **facts: Any) -> Evidence:
        """Collect all about a job that its clients watched."""
        return Evidence(
            job.id, truths.get(job.id, ledger.Truth()),
            [r.history for r in self.recorders if r.job == job.id],
            self.stored(job.id), lease=self.lease,
            deaths=[death for worker in self.workers for death in worker.deaths],
            silences=[(begin, end) for begin, end in self.worker_wire.silences],
            events_kept=self.settings.events_kept, **facts,
        )  # fmt: skip

    def forget(self) -> None:
        """Let all clients go, and forget what was written down so far."""
        for recorder in self.recorders:
            recorder.close()
        self.recorders.clear()
        self.ledger.unlink(missing_ok=True)
        for worker in self.workers:
            worker.deaths.clear()

    def close(self) -> None:
        self._closing.close()

    def _stop_processes(self) -> None:
        for recorder in self.recorders:
            recorder.close()
        self.heal()
        for worker in self.workers:
            worker.leave()
        for worker in self.workers:
            worker.stop()
        for node in self.nodes:
            node.stop()

    def _settings(self, queue_port: int) -> Settings:
        return Settings.load(environ={**self._environ(queue_port)})

    def _environ(self, queue_port: int) -> dict[str, str]:
        queue = {"BRIDGE_MESSAGE_QUEUE": f"redis://127.0.0.1:{queue_port}/0"}
        if self.carrier is not None:
            wire = self._carrier_wires.get(queue_port)
            port = self.carrier.port if wire is None else wire.port
            queue = {
                "BRIDGE_MESSAGE_QUEUE": self.carrier.url.replace(str(self.carrier.port), str(port)),
                "BRIDGE_JOURNAL": queue["BRIDGE_MESSAGE_QUEUE"],
            }
        return {
            **queue,
            "BRIDGE_CHANNEL": self.channel,
            "BRIDGE_SECRET_KEY": SECRET,
            **self._given,
        }

    def _broker(self, number: int) -> str:
        return f"redis://127.0.0.1:{self.broker.port}/{number}"


@contextlib.contextmanager
def running_stack(folder: Path, *arguments: Any, **options: Any) -> Iterator[Stack]:
    """A stack for the length of a block."""
    stack = Stack(folder, *arguments, **options)
    try:
        yield stack
    finally:
        stack.close()
