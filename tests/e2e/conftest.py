"""The whole: a real Redis, prefork worker and web node, as `bridge demo` runs them."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from bridge.settings import Settings
from tests.conftest import RedisServer, missing, redis_server_or_skip, wait_until
from tests.nodes import SECRET, Client, Node

ROOT = Path(__file__).parents[2]
WIDGET = ROOT / "bridge" / "widget"


class Stack:
    """What runs, and how to start a job on it as a page does."""

    def __init__(self, redis: RedisServer, settings: Settings, node: Node, uploads: Path) -> None:
        self.redis = redis
        self.settings = settings
        self.node = node
        self.uploads = uploads

    @property
    def url(self) -> str:
        return self.node.url

    def start(self, name: str, **fields: Any) -> dict[str, str]:
        return self._answer(requests.post(f"{self.url}/demo/jobs/{name}", json=fields, timeout=30))

    def upload(self, name: str, filename: str, content: bytes) -> dict[str, str]:
        files = {"file": (filename, io.BytesIO(content))}
        return self._answer(requests.post(f"{self.url}/demo/jobs/{name}", files=files, timeout=30))

    def snapshot(self, started: dict[str, str], since: int = 0) -> dict[str, Any]:
        answer = requests.get(
            f"{self.url}/bridge/jobs/{started['job']}",
            params={"since": since},
            headers={"Authorization": f"Bearer {started['token']}"},
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait_for(
        self, started: dict[str, str], *states: str, seconds: float = 30
    ) -> dict[str, Any]:
        def reached() -> bool:
            snapshot = self.snapshot(started)["snapshot"]
            return snapshot is not None and snapshot["state"] in states

        wait_until(reached, seconds=seconds, what=str(states))
        return self.snapshot(started)

    def _answer(self, response: requests.Response) -> dict[str, str]:
        assert response.status_code == 201, response.text
        return dict(response.json())


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    redis = redis_server_or_skip(folder)
    environ = {
        "BRIDGE_MESSAGE_QUEUE": redis.url,
        "BRIDGE_CHANNEL": f"e2e-{uuid.uuid4().hex}",
        "BRIDGE_SECRET_KEY": SECRET,
        "DEMO_UPLOADS": str(folder / "uploads"),
    }
    settings = Settings.load(environ=environ)
    log = folder / "worker.log"
    with log.open("wb") as stream:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "-c", "2",
             "-l", "INFO"],
            env={**os.environ, **environ}, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    node = None
    try:
        node = Node(
            settings, program=(sys.executable, "-m", "web"), DEMO_UPLOADS=environ["DEMO_UPLOADS"],
            DEMO_ACCOUNTS="true",
        )  # fmt: skip
        wait_until(
            lambda: b" ready." in log.read_bytes(), seconds=40, what=f"the worker, see {log}"
        )
        yield Stack(redis, settings, node, folder / "uploads")
    finally:
        if node is not None:
            node.stop()
        worker.terminate()
        try:
            worker.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        redis.stop()


class Foreign(ABC):
    """A client that we did not write."""

    @abstractmethod
    def ask(self, event: str, data: dict[str, Any]) -> dict[str, Any]:
        """Send an event, return its ack."""

    @abstractmethod
    def received(self) -> list[tuple[str, Any]]:
        """What came so far."""

    @abstractmethod
    def cut(self) -> None:
        """Break the connection, wait until the client has come back by itself."""

    @abstractmethod
    def close(self) -> None:
        """Leave."""

    def watch(self, started: dict[str, str], since: int = 0) -> dict[str, Any]:
        return self.ask("watch", {**started, "since": since})


class PythonClient(Foreign):
    """python-socketio's client."""

    def __init__(self, stack: Stack) -> None:
        self._client = Client(stack.url)

    def ask(self, event: str, data: dict[str, Any]) -> dict[str, Any]:
        return dict(self._client.ask(event, data))

    def cut(self) -> None:
        sio, before = self._client.sio, self._client.sid
        sio.eio.ws.sock.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: sio.connected and sio.get_sid("/bridge") not in (None, before))

    def received(self) -> list[tuple[str, Any]]:
        return list(self._client.received)

    def close(self) -> None:
        self._client.close()


class NodeClient(Foreign):
    """Node's socket.io-client, in a process that takes and gives lines of JSON."""

    def __init__(self, stack: Stack) -> None:
        node = shutil.which("node")
        if node is None or not (WIDGET / "node_modules" / "socket.io-client").exists():
            missing("Node with socket.io-client", "install Node 20 and run npm ci in bridge/widget")
        assert node is not None
        self._process = subprocess.Popen(
            [node, str(Path(__file__).with_name("node_client.cjs")), stack.url, str(WIDGET)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._answer() is True, "it is connected before any job begins"

    def ask(self, event: str, data: dict[str, Any]) -> dict[str, Any]:
        return dict(self._call({"ask": [event, data]}))

    def cut(self) -> None:
        assert self._call({"cut": True})

    def received(self) -> list[tuple[str, Any]]:
        return [(name, data) for name, data in self._call({"received": True})]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def _call(self, message: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@pytest.fixture(params=[PythonClient, NodeClient], ids=["python", "node"])
def foreign(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Foreign]:
    client = request.param(stack)
    yield client
    client.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of a fresh profile; anything on its console fails the test."""
    context = chromium.new_context(viewport={"width": 1100, "height": 900}, locale="en-US")
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    yield page
    context.close()
    assert said == []
