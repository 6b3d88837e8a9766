"""Servers and names that tests share. Each test gets a channel of its own; nothing is flushed."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from amqp import AMQPError
from kombu import Connection
from kombu.exceptions import OperationalError
from playwright.sync_api import Browser, sync_playwright
from redis import Redis
from redis.exceptions import RedisError

from bridge.settings import Settings

CHROMIUM_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def missing(what: str, how: str) -> None:
    """Skip on a laptop, fail in CI: a server that is missing there hides what is broken."""
    sentence = f"{what} is not installed: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


#: Below those that the kernel gives to connections: one of these could take the port of a server
#: that is stopped, or even be its own other end. Above 10080, which browsers refuse.
_PORTS = range(11_000, 32_000)
#: Test processes have neighbouring ids; each gets a stretch of its own.
_port_numbers = itertools.count(os.getpid() * 997)


def free_port() -> int:
    """A port for a server that may be stopped and started again."""
    while True:
        port = _PORTS[next(_port_numbers) % len(_PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port


def wait_until(condition: Callable[[], object], *, seconds: float = 30, what: str = "") -> None:
    """Wait for a condition, with an end that only a failure reaches."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds} s in vain for {what or condition}")
        time.sleep(0.01)


class RedisServer:
    """A private redis-server that a test may stop, kill and start again."""

    program = "redis-server"
    #: Variables of its own.
    environ: Mapping[str, str] = {}

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.folder = folder
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> Redis:
        return Redis(port=self.port, socket_timeout=5)

    def start(self) -> None:
        self.process = subprocess.Popen(
            [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--dir", str(self.folder), *self.options],
            stdout=subprocess.DEVNULL, env={**os.environ, **self.environ},
        )  # fmt: skip
        wait_until(self._answers, what="redis-server")

    def stop(self) -> None:
        """Kill it; what it held is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        client = self.client
        try:
            return bool(client.ping())
        except (RedisError, OSError):
            return False
        finally:
            client.close()


def redis_server_or_skip(folder: Path, *options: str) -> RedisServer:
    if shutil.which("redis-server") is None:
        missing("redis-server", "apt-get install redis-server")
    return RedisServer(folder, *options)


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One real Redis for all tests that don't stop it."""
    server = redis_server_or_skip(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A real Redis for one test, to be stopped and started at will."""
    server = redis_server_or_skip(tmp_path)
    yield server
    server.stop()


class RabbitServer:
    """A private RabbitMQ that a test may stop, kill and start again; it takes seconds to start."""

    CONFIG = (
        "loopback_users = none\nlisteners.tcp.default = 127.0.0.1:{port}\n"
        "disk_free_limit.absolute = 1MB\nheartbeat = 10\n"
    )
    #: Debian's commands in PATH change the user.
    PROGRAMS = "/usr/lib/rabbitmq/bin"

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("RABBITMQ_")},
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"bridge-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }
        (folder / "rabbitmq.conf").write_text(self.CONFIG.format(port=self.port))
        (folder / "plugins").write_text("[].")
        # Else Erlang starts one that outlives us.
        self.names = subprocess.Popen(
            [_program("epmd")], env=self.environ, stdout=subprocess.DEVNULL
        )
        names = int(self.environ["ERL_EPMD_PORT"])
        wait_until(lambda: _is_open(names), what="epmd")
        self.start()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [_program("rabbitmq-server", self.PROGRAMS)], env=self.environ, cwd=self.folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        wait_until(self._answers, seconds=50, what="rabbitmq-server")

    def stop(self) -> None:
        """Kill it, the whole group of it; queues and exchanges that are not durable are gone."""
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def signal(self, number: int) -> None:
        """Send a signal to all its processes, such as SIGSTOP."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def control(self, *command: str) -> str:
        """Run rabbitmqctl; it takes a second or two."""
        return subprocess.run(
            [_program("rabbitmqctl", self.PROGRAMS), "-q", *command],
            env=self.environ, cwd=self.folder, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip

    def end(self) -> None:
        self.stop()
        self.names.kill()
        self.names.wait()

    def _answers(self) -> bool:
        try:
            with Connection(self.url, connect_timeout=2) as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
        except (OSError, AMQPError, OperationalError):
            return False
        return True


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _program(name: str, folder: str | None = None) -> str:
    return shutil.which(name, path=folder) or shutil.which(name) or name


@pytest.fixture(scope="session")
def shared_rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """One real RabbitMQ for a whole run; who stops it starts it again."""
    if shutil.which("rabbitmq-server") is None and not Path(RabbitServer.PROGRAMS).is_dir():
        missing("RabbitMQ", "apt-get install rabbitmq-server")
    server = RabbitServer(tmp_path_factory.mktemp("rabbit"))
    yield server
    server.end()


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[Any]:
    """One PostgreSQL for a whole run."""
    from tests.backends import Postgres, program

    if program("initdb") is None:
        missing("PostgreSQL", "apt-get install postgresql")
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture
def redis_url(shared_redis: RedisServer) -> str:
    return shared_redis.url


def chromium_program() -> str | None:
    """Where Debian's Chromium is."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One Chromium for all tests; Playwright's synchronous API can be entered only once."""
    program = chromium_program()
    if program is None:
        missing("Chromium", "apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def channel() -> str:
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
def settings(redis_url: str, channel: str) -> Settings:
    """Settings of a bridge that no other test hears."""
    return Settings.load(
        {"message_queue": redis_url, "channel": channel, "secret_key": "a secret for tests only"},
        environ={},
    )
