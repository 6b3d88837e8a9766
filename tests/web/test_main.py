"""`python -m web` as a process: what it refuses, and that it serves."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RedisServer, free_port, wait_until
from web.guard import HEADERS

pytestmark = pytest.mark.e2e
SECRET = "a secret for tests only"
Node = Callable[..., tuple["subprocess.Popen[str]", str]]


def environment(**extra: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BRIDGE_", "DEMO_"))}
    return {**kept, **extra}


def refused(**environ: str) -> str:
    """Start the node, which must not start; return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "web"],
        env=environment(**environ),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_without_a_secret_it_says_how_to_make_one() -> None:
    assert "Error: BRIDGE_SECRET_KEY: no secret is set" in refused()


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        told = refused(BRIDGE_SECRET_KEY=SECRET, BRIDGE_PORT=port)
    assert f"Error: BRIDGE_PORT={port}: the port is in use" in told


@pytest.mark.parametrize(
    ("name", "value"),
    [("BRIDGE_PORT", "x"), ("BRIDGE_NOTHING", "x"), ("DEMO_FOLDERS", "x"), ("DEMO_UPLOADS", "x")],
)
def test_a_bad_setting_is_named(name: str, value: str) -> None:
    assert f"Error: {name}" in refused(BRIDGE_SECRET_KEY=SECRET, **{name: value})


@pytest.fixture
def node(own_redis: RedisServer, tmp_path: Path) -> Iterator[Node]:
    """Starts the node on a Redis of its own; returns its process and its address."""
    made: list[subprocess.Popen[str]] = []

    def start(**environ: str) -> tuple[subprocess.Popen[str], str]:
        url = f"http://127.0.0.1:{(port := free_port())}"
        given = environment(
            BRIDGE_SECRET_KEY=SECRET,
            BRIDGE_PORT=str(port),
            BRIDGE_MESSAGE_QUEUE=own_redis.url,
            DEMO_UPLOADS=str(tmp_path / "uploads"),
            **environ,
        )
        made.append(subprocess.Popen([sys.executable, "-m", "web"], env=given, text=True))
        wait_until(lambda: answer(f"{url}/readyz")[0] == 200, seconds=30, what="the node")
        return made[-1], url

    yield start
    for process in made:
        process.kill()
        process.wait()


def answer(url: str, body: bytes | None = None, kind: str = "application/json") -> tuple[int, Any]:
    """Return a status and what came as JSON; status 0: nobody listens."""
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return 0, None


@pytest.mark.redis
@pytest.mark.parametrize("mode", ["eventlet", "threading"])
def test_it_serves_and_ends_in_each_mode(node: Node, mode: str) -> None:
    process, url = node(BRIDGE_ASYNC_MODE=mode)
    assert answer(f"{url}/readyz")[1]["mode"] == mode
    status, made = answer(f"{url}/demo/jobs/metronome", b"{}")
    assert status == 201
    status, seen = answer(f"{url}/bridge/jobs/{made['job']}?token={made['token']}")
    assert (status, seen["snapshot"]["state"]) == (200, "PENDING")
    process.terminate()
    assert process.wait(30) == 0


@pytest.mark.redis
def test_a_dead_queue_is_told_soon_and_the_upload_goes(
    node: Node, own_redis: RedisServer, tmp_path: Path
) -> None:
    _, url = node()
    own_redis.stop()
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\r\n--x--'
    )
    begin = time.monotonic()
    status, told = answer(f"{url}/demo/jobs/import_csv", body, "multipart/form-data; boundary=x")
    assert (status, told["error"]) == (503, "unavailable")
    assert time.monotonic() - begin < 10
    assert list((tmp_path / "uploads").iterdir()) == []
    own_redis.start()
    wait_until(lambda: answer(f"{url}/demo/jobs/metronome", b"{}")[0] == 201, what="the queue")


@pytest.mark.redis
def test_an_upload_over_the_limit_is_refused_and_the_node_goes_on(node: Node) -> None:
    _, url = node()
    port = int(url.rsplit(":", 1)[1])
    head = (
        "POST /demo/jobs/import_csv HTTP/1.1\r\nHost: x\r\nContent-Length: 99000000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(head.encode())
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")
    assert answer(f"{url}/healthz")[0] == 200


def peak_bytes(process: subprocess.Popen[str]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


@pytest.mark.redis
def test_an_upload_goes_to_the_disk_and_not_through_the_memory(node: Node, tmp_path: Path) -> None:
    process, url = node()
    small = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na\r\n--x--'
    )
    kind = "multipart/form-data; boundary=x"
    assert answer(f"{url}/demo/jobs/import_csv", small, kind)[0] == 201
    before = peak_bytes(process)
    large = small.replace(b"\r\n\r\na", b"\r\n\r\n" + b"a,b\n" * (31 * 1024 * 256))
    assert answer(f"{url}/demo/jobs/import_csv", large, kind)[0] == 201
    assert peak_bytes(process) - before < 10 * 1024 * 1024
    assert sum(path.stat().st_size for path in (tmp_path / "uploads").iterdir()) > 31 * 1024 * 1024


@pytest.mark.redis
def test_an_upload_of_untold_length_ends_at_the_limit(node: Node, tmp_path: Path) -> None:
    _, url = node()
    head = (
        "POST /demo/jobs/import_csv HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    piece = b"a" * 1_048_576
    answered = b""
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=30) as client:
        client.sendall(head.encode() + b"%x\r\n%s\r\n" % (len(part), part))
        with contextlib.suppress(OSError):
            for _ in range(64):
                client.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        with contextlib.suppress(OSError):
            answered = client.recv(100)
    assert answered.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 ")) or answered == b""
    folder = tmp_path / "uploads"
    assert not folder.exists() or list(folder.iterdir()) == []
    assert answer(f"{url}/healthz")[0] == 200


@pytest.mark.redis
@pytest.mark.parametrize("mode", ["eventlet", "threading"])
def test_the_security_headers_are_on_the_wire(node: Node, mode: str) -> None:
    _, url = node(BRIDGE_ASYNC_MODE=mode)
    for path in ("/", "/readyz", "/bridge/jobs/x", "/socket.io/?EIO=4&transport=polling", "/nope"):
        request = urllib.request.Request(f"{url}{path}")
        try:
            response = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            for name, value in HEADERS.items():
                assert response.headers.get_all(name) == [value], path
