"""The message queues of docs/deployment.md: each a server that runs for the length of a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conftest import RabbitServer, RedisServer, redis_server_or_skip
from tests.redis_servers import OldRedis, TlsRedis, Valkey, Watched, certificate
from tests.security.redis_users import GuardedRedis


@dataclass(frozen=True)
class Queue:
    """A message queue that runs.

    Attributes:
        worker: the URL that workers use.
        node: the one that nodes use.
        journal: where jobs are remembered, if not there.
        channel: if it must be a certain one.
        fail_over: ends the master, where there is another to take over.
    """

    worker: str
    node: str
    journal: str | None = None
    channel: str | None = None
    fail_over: Callable[[], None] | None = None


@contextmanager
def _running(server: RedisServer) -> Iterator[RedisServer]:
    try:
        yield server
    finally:
        server.stop()


def _same(url: str) -> Queue:
    return Queue(worker=url, node=url)


def _plain(start: Callable[[Path], RedisServer]) -> Callable[[Path], AbstractContextManager[Queue]]:
    """A server as it comes."""

    @contextmanager
    def queue(folder: Path) -> Iterator[Queue]:
        with _running(start(folder)) as server:
            yield _same(server.url)

    return queue


@contextmanager
def password(folder: Path) -> Iterator[Queue]:
    with _running(redis_server_or_skip(folder)) as server:
        with closing(server.client) as client:
            client.config_set("requirepass", "a password")
        yield _same(server.url.replace("redis://", "redis://:a%20password@"))


@contextmanager
def users(folder: Path) -> Iterator[Queue]:
    """The users of docs/security.md, whose lines are written for the default channel."""
    redis_server_or_skip(folder).stop()
    with _running(GuardedRedis(folder)) as server:
        assert isinstance(server, GuardedRedis)
        yield Queue(
            worker=server.url_of("bridge-worker"), node=server.url_of("bridge-node"),
            channel="celery-bridge",
        )  # fmt: skip


@contextmanager
def tls(folder: Path) -> Iterator[Queue]:
    redis_server_or_skip(folder).stop()
    with _running(TlsRedis(folder, certificate(folder, "redis", "localhost"))) as server:
        yield _same(server.url)


@contextmanager
def unix_socket(folder: Path) -> Iterator[Queue]:
    path = folder / "redis.sock"
    with _running(redis_server_or_skip(folder, "--unixsocket", str(path))):
        yield _same(f"unix://{path}?db=0")


@contextmanager
def sentinel(folder: Path) -> Iterator[Queue]:
    redis_server_or_skip(folder).stop()
    with _running(Watched(folder)) as server:
        assert isinstance(server, Watched)
        url = server.sentinel_url
        yield Queue(worker=url, node=url, fail_over=server.die)


@contextmanager
def rabbitmq(rabbit: RabbitServer, journal: str) -> Iterator[Queue]:
    yield Queue(worker=rabbit.url, node=rabbit.url, journal=journal)


RABBITMQ: Final = "RabbitMQ"
#: The others, by their names in docs/deployment.md.
QUEUES: Final[dict[str, Callable[[Path], AbstractContextManager[Queue]]]] = {
    "Redis 7": _plain(redis_server_or_skip),
    "Redis 6.2": _plain(OldRedis),
    "Valkey": _plain(Valkey),
    "Redis, password": password,
    "Redis, ACL users": users,
    "Redis, TLS": tls,
    "Redis, unix socket": unix_socket,
    "Redis, Sentinel": sentinel,
}
