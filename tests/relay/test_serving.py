"""`bridge serve` as a process: it tells where it listens, refuses clearly, and stops cleanly."""

from __future__ import annotations

import importlib.util
import json
import signal
import socket
import uuid
from urllib.request import urlopen

import pytest

from bridge.settings import Settings
from tests.conftest import wait_until
from tests.nodes import SECRET, Client, Worker, fresh_python, running

MODES = [
    "eventlet",
    "threading",
    pytest.param(
        "gevent",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("gevent") is None, reason="gevent is not installed"
        ),
    ),
]
SERVE = "import sys; from bridge.cli import main; sys.argv = ['bridge', 'serve']; main()"


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_serves_and_stops_cleanly(mode: str, settings: Settings, job: str) -> None:
    worker = Worker(settings)
    worker.state(job, "STARTED", current=1)
    with running(settings, "--async-mode", mode) as node:
        client = Client(node.url)
        token = worker.tokens.issue(jobs=job)
        assert client.ask("watch", {"job": job, "token": token})["snapshot"]["current"] == 1
        worker.state(job, current=2)
        client.wait(2)
        wait_until(lambda: ready(node.url) == mode)

        assert node.stop() == 0

        assert not any("Traceback" in line for line in node.log), node.log
        client.close()


def ready(url: str) -> str | None:
    try:
        with urlopen(f"{url}/readyz") as answer:
            return str(json.load(answer)["mode"])
    except OSError:
        return None


def test_ctrl_c_stops_it_cleanly(settings: Settings) -> None:
    with running(settings) as node:
        assert node.stop(signal.SIGINT) == 0


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = fresh_python(SERVE, BRIDGE_PORT=str(port), BRIDGE_SECRET_KEY=SECRET)

    assert done.returncode == 1
    assert f"BRIDGE_PORT={port}" in done.stderr
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, ["BRIDGE_SECRET_KEY", "token_urlsafe"]),
        ({"BRIDGE_SECRET_KEY": SECRET, "BRIDGE_LEESE": "3"}, ["BRIDGE_LEESE", "unknown"]),
        ({"BRIDGE_SECRET_KEY": SECRET, "BRIDGE_PORT": "http"}, ["BRIDGE_PORT", "'http'"]),
        ({"BRIDGE_SECRET_KEY": SECRET, "BRIDGE_MESSAGE_QUEUE": "nats://u:pw@x"}, ["nats://***@x"]),
        ({"BRIDGE_SECRET_KEY": SECRET, "BRIDGE_ASYNC_MODE": "asyncio"}, ["asyncio", "threading"]),
        ({"BRIDGE_SECRET_KEY": SECRET, "BRIDGE_HOST": "192.0.2.1"}, ["BRIDGE_HOST", "192.0.2.1"]),
    ],
)
def test_a_bad_setting_is_told_in_one_line(environ: dict[str, str], words: list[str]) -> None:
    done = fresh_python(SERVE, **environ)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_a_stopped_node_leaves_its_clients_to_another(settings: Settings) -> None:
    worker, job = Worker(settings), uuid.uuid4().hex
    with running(settings) as first:
        client = Client(first.url)
        client.ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})
        first.stop()
        wait_until(lambda: not client.sio.connected or client.sio.sid is None)
        client.close()
    assert worker.state(job, "STARTED").receivers == 0
