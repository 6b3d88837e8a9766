"""Redis and RabbitMQ behind TLS: we speak to no other than the one that the certificate names."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from socketio import RedisManager

from bridge.errors import QueueUnavailable
from bridge.journal import RedisJournal, connect
from bridge.message_queue.manager import SenderManager
from bridge.message_queue.rabbitmq.link import ERRORS, Link
from bridge.message_queue.redis_line import RedisLine, RedisLink
from bridge.message_queue.stock import StockManager
from bridge.message_queue.subscriber import Subscriber
from bridge.settings import Settings
from tests.conftest import RabbitServer, missing, wait_until
from tests.nodes import SECRET, Client, Worker, running
from tests.redis_servers import TlsRedis, certificate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for program, package in (("redis-server", "redis-server"), ("openssl", "openssl")):
        if shutil.which(program) is None:
            missing(program, f"apt-get install {package}")
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def tls_redis(folder: Path) -> Iterator[TlsRedis]:
    server = TlsRedis(folder, certificate(folder, "server", "localhost"))
    yield server
    server.stop()


class MisnamedRedis(TlsRedis):
    """The test itself reaches it without looking at the name."""

    @property
    def client(self) -> Redis:
        url = self.url_with(self.certificate, ssl_check_hostname="false")
        return Redis.from_url(url, socket_timeout=5)


@pytest.fixture(scope="module")
def misnamed_redis(folder: Path) -> Iterator[TlsRedis]:
    """Its certificate is in order, but names another host."""
    server = MisnamedRedis(folder, certificate(folder, "misnamed", "redis.example.org"))
    yield server
    server.stop()


def secure_settings(url: str) -> Settings:
    return Settings.load(
        {"message_queue": url, "channel": f"test-{uuid.uuid4().hex}", "secret_key": SECRET},
        environ={},
    )


def assert_they_meet(settings: Settings, job: str) -> None:
    """A node's client hears what a worker tells."""
    worker = Worker(settings)
    with running(settings) as node:
        client = Client(node.url)
        ack = client.ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})
        assert ack["ok"], ack
        worker.state(job, "STARTED", current=1)
        # Larger than what one read takes in: bytes must not be left behind in the TLS layer.
        worker.event(job, data="x" * 60_000)
        worker.state(job, current=2)
        client.wait(2)
        assert client.seqs() == [1]
        client.close()


def test_a_node_and_a_worker_meet_behind_tls(tls_redis: TlsRedis, job: str) -> None:
    assert_they_meet(secure_settings(tls_redis.url), job)


class ToldLine(RedisLine):
    """Tells that it could not connect."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.refused = threading.Event()

    def open(self) -> RedisLink:
        try:
            return super().open()
        except self.errors:
            self.refused.set()
            raise


def subscribe(url: str) -> bool:
    """Whether a subscription is confirmed."""
    line = ToldLine(url)
    subscriber = Subscriber(
        line, "tls", on_message=lambda *_: None, on_lost=lambda: None, on_recovered=lambda: None
    )
    subscriber.start()
    try:
        ticket = subscriber.subscribe("tls/job:{a}")
        wait_until(lambda: ticket.wait(0) or line.refused.is_set(), what="an answer")
        return ticket.wait(0)
    finally:
        subscriber.stop()


def publish(url: str) -> bool:
    manager = SenderManager(secure_settings(url))
    try:
        manager.join("a-sid", "/bridge", "a-job")
    except QueueUnavailable:
        return False
    finally:
        manager.close()
    return True


def read(url: str) -> bool:
    client = connect(url)
    try:
        RedisJournal(client, secure_settings(url)).ping()
    except QueueUnavailable:
        return False
    finally:
        client.close()
    return True


WAYS = [subscribe, publish, read]
Way = Callable[[str], bool]


@pytest.mark.parametrize("way", WAYS)
def test_the_right_certificate_is_taken(way: Way, tls_redis: TlsRedis) -> None:
    assert way(tls_redis.url)


@pytest.mark.parametrize("way", WAYS)
def test_a_certificate_of_another_authority_is_refused(
    way: Way, tls_redis: TlsRedis, folder: Path
) -> None:
    assert not way(tls_redis.url_with(certificate(folder, "stranger", "localhost")))


@pytest.mark.parametrize("way", WAYS)
def test_a_certificate_for_another_host_is_refused(way: Way, misnamed_redis: TlsRedis) -> None:
    assert not way(misnamed_redis.url)


@pytest.mark.parametrize("way", WAYS)
def test_a_plain_connection_is_refused(way: Way, tls_redis: TlsRedis) -> None:
    assert not way(f"redis://localhost:{tls_redis.port}/0")


def test_the_base_channel_of_a_stock_process_behind_tls(tls_redis: TlsRedis) -> None:
    """Python-socketio's own manager reaches ours, and ours is the stock one."""
    listener = StockManager(tls_redis.url, "tls-base")
    listener._redis_connect()
    messages = listener._redis_listen_with_retries()
    assert next(messages)["type"] == "subscribe"
    RedisManager(tls_redis.url, channel="tls-base", write_only=True).emit("greeting", "hello")
    assert next(messages)["data"]["event"] == "greeting"
    messages.close()
    listener.redis.close()


class TlsFront:
    """TLS before a server that speaks none, as a load balancer does it."""

    def __init__(self, port: int, certificate: Path) -> None:
        self._target = port
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        self._loop = asyncio.new_event_loop()
        # In a thread from the start: a browser's test may have a loop of its own in this one.
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context))
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_target, to_target = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(_copy(reader, to_target), _copy(from_target, writer))

    def close(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0.1)

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.CancelledError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@pytest.mark.rabbitmq
def test_rabbitmq_behind_tls(
    folder: Path, shared_rabbit: RabbitServer, redis_url: str, job: str
) -> None:
    ours, other = certificate(folder, "front", "localhost"), certificate(folder, "o", "localhost")
    misnamed = certificate(folder, "other-host", "rabbit.example.org")
    front, elsewhere = TlsFront(shared_rabbit.port, ours), TlsFront(shared_rabbit.port, misnamed)

    def url(authority: Path, port: int = front.port, more: str = "") -> str:
        return f"amqps://guest:guest@localhost:{port}//?ssl_ca_certs={authority}{more}"

    for bad in (url(other), url(misnamed, elsewhere.port)):
        with pytest.raises(ERRORS, match="CERTIFICATE_VERIFY_FAILED"):
            Link(bad)
    Link(url(misnamed, elsewhere.port, "&ssl_cert_reqs=none")).close()

    settings = Settings.load(
        {
            "message_queue": url(ours),
            "journal": redis_url,
            "channel": f"test-{uuid.uuid4().hex}",
            "secret_key": SECRET,
        },
        environ={},
    )
    assert_they_meet(settings, job)
    front.close()
    elsewhere.close()
