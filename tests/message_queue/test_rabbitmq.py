"""RabbitMQ carries, Redis remembers: a node, clients and stock processes on real servers."""

from __future__ import annotations

import importlib.util
import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import socketio
from amqp import Connection

from bridge.errors import QueueUnavailable
from bridge.message_queue.rabbitmq.publisher import Publisher
from bridge.sender.emitter import Emitter
from bridge.settings import Settings
from tests.conftest import RabbitServer, RedisServer, wait_until
from tests.faults.proxy import Proxy
from tests.nodes import SECRET, Client, Node, Worker, running

pytestmark = [pytest.mark.rabbitmq, pytest.mark.redis]


@pytest.fixture(scope="module")
def rabbit_settings(shared_rabbit: RabbitServer, shared_redis: RedisServer) -> Settings:
    return Settings.load(
        {
            "message_queue": shared_rabbit.url,
            "journal": shared_redis.url,
            "channel": f"test-{uuid.uuid4().hex}",
            "secret_key": SECRET,
        },
        environ={},
    )


@pytest.fixture(scope="module")
def rabbit_node(rabbit_settings: Settings) -> Iterator[Node]:
    with running(rabbit_settings) as node:
        yield node


@pytest.fixture
def client(rabbit_node: Node) -> Iterator[Client]:
    client = Client(rabbit_node.url)
    yield client
    client.close()


@pytest.fixture
def worker(rabbit_settings: Settings) -> Worker:
    return Worker(rabbit_settings)


def watch(client: Client, worker: Worker, **what: str) -> Any:
    token = worker.tokens.issue(**({"jobs": what["job"]} if "job" in what else what))
    answer = client.ask("watch", {**what, "token": token})
    assert answer["ok"], answer
    return answer


def test_each_message_comes_once_and_in_order(client: Client, worker: Worker, job: str) -> None:
    worker.state(job, "STARTED", root="a-root", user="me")
    watch(client, worker, job=job)
    watch(client, worker, root="a-root")
    watch(client, worker, user="me")

    for number in range(1, 31):
        worker.state(job, current=number, root="a-root", user="me")
        worker.event(job, data=number)
    worker.state(job, "SUCCESS", current=31, root="a-root", user="me")

    client.wait(31)
    # The sweep makes up for losses, but brings only the newest state: each of these came by itself.
    assert [current for current in client.currents() if current] == list(range(1, 32))
    assert client.seqs() == list(range(1, 31))


def test_whether_anybody_listens_is_told(client: Client, worker: Worker, job: str) -> None:
    worker.state(job, "STARTED")
    wait_until(lambda: worker.state(job).receivers == 0)
    watch(client, worker, job=job)
    wait_until(lambda: worker.state(job).receivers == 1)


def test_a_root_or_a_user_is_somebody_who_listens(client: Client, worker: Worker, job: str) -> None:
    worker.state(job, "STARTED", user="somebody")
    wait_until(lambda: worker.state(job, user="somebody").receivers == 0)
    watch(client, worker, user="somebody")
    wait_until(lambda: worker.state(job, user="somebody").receivers == 1)


def test_ids_too_long_for_a_routing_key(client: Client, worker: Worker) -> None:
    job, user = "j" * 200, "ü" * 200
    worker.state(job, "STARTED", user=user)
    watch(client, worker, user=user)
    worker.state(job, current=1, user=user)
    worker.state(job, current=2, user=user)
    client.wait(2)
    assert client.currents()[-2:] == [1, 2]


def test_a_client_joins_by_its_sid(
    client: Client, rabbit_settings: Settings, worker: Worker, job: str
) -> None:
    worker.state(job, "STARTED", current=7)
    emitter = Emitter(rabbit_settings)
    emitter.join(client.sid, "/bridge", job)
    emitter.close()
    client.wait(7)


def stock_manager(settings: Settings) -> socketio.KombuManager:
    return socketio.KombuManager(settings.message_queue, channel=settings.channel, write_only=True)


def test_stock_processes_emit_through_our_node(client: Client, rabbit_settings: Settings) -> None:
    stock = stock_manager(rabbit_settings)
    stock.emit("from_stock", {"a": [1, "é"]}, room=client.sid, namespace="/bridge")
    wait_until(lambda: ("from_stock", {"a": [1, "é"]}) in client.received)
    stock.publisher_connection.release()


def test_stock_nodes_hear_what_our_worker_emits(rabbit_settings: Settings) -> None:
    stock = socketio.KombuManager(rabbit_settings.message_queue, channel=rabbit_settings.channel)
    emitter, heard = Emitter(rabbit_settings), threading.Event()

    def emit() -> None:
        while not heard.wait(0.05):
            emitter.send("from_us", {"a": "é"}, to="lobby", namespace="/chat")

    emitting = threading.Thread(target=emit)
    emitting.start()
    listening = stock._listen()  # it listens from here on
    said = json.loads(next(listening))
    heard.set()
    emitting.join()
    listening.close()
    emitter.close()
    assert (said["event"], said["data"], said["room"]) == ("from_us", [{"a": "é"}], "lobby")


def test_what_is_malformed_on_the_base_channel_is_nothing(
    client: Client, rabbit_settings: Settings
) -> None:
    publisher = Publisher(rabbit_settings.message_queue, rabbit_settings.channel)
    for junk in (b"[" * 1000, b"\xff\xfe", '{"method": "emit"}'):
        publisher.send(rabbit_settings.channel, junk)
    publisher.close()
    stock = stock_manager(rabbit_settings)
    stock.emit("still_here", 1, room=client.sid, namespace="/bridge")
    wait_until(lambda: ("still_here", 1) in client.received)
    stock.publisher_connection.release()


@pytest.mark.parametrize("mode", ["gevent", "threading"])
def test_a_node_in_every_mode(
    rabbit_settings: Settings, worker: Worker, job: str, mode: str
) -> None:
    if importlib.util.find_spec("gevent") is None and mode == "gevent":
        pytest.skip("gevent is not installed: pip install gevent")
    worker.state(job, "STARTED")
    with running(rabbit_settings, BRIDGE_ASYNC_MODE=mode) as node:
        client = Client(node.url)
        watch(client, worker, job=job)
        worker.state(job, current=1)
        client.wait(1)
        client.close()


def test_nothing_piles_up(rabbit_node: Node, shared_rabbit: RabbitServer) -> None:
    wait_until(
        lambda: requests.get(f"{rabbit_node.url}/readyz", timeout=30).json()["queue"]["heard"]
    )
    listed = shared_rabbit.control("list_queues", "name", "exclusive", "auto_delete", "arguments")
    ours = [line for line in listed.splitlines() if line.startswith("celery-bridge.")]
    assert ours
    assert all(line.split("\t")[1:3] == ["true", "true"] for line in ours)
    assert all('"x-max-length",' in line for line in ours)


def test_a_silent_connection_is_kept_by_heartbeats(
    shared_rabbit: RabbitServer, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one second here; the broker hangs up on who misses two."""
    monkeypatch.setattr("bridge.message_queue.rabbitmq.link.HEARTBEAT_SECONDS", 1)
    monkeypatch.setattr("bridge.message_queue.rabbitmq.publisher._TICK_SECONDS", 0.2)
    beats: list[Connection] = []
    beat = Connection.send_heartbeat
    monkeypatch.setattr(Connection, "send_heartbeat", lambda it: beats.append(it) or beat(it))

    wire = Proxy(shared_rabbit.port)
    url = shared_rabbit.url.replace(str(shared_rabbit.port), str(wire.port))
    publisher = Publisher(url, channel)
    publisher.send(channel, "there")
    wait_until(lambda: len(beats) >= 8, what="heartbeats")
    publisher.send(channel, "still there")
    assert wire.accepted == 1, "by the same connection"
    publisher.close()
    wire.close()


def test_a_broker_that_is_away_holds_nobody_up(
    shared_rabbit: RabbitServer, channel: str, caplog: pytest.LogCaptureFixture
) -> None:
    wire = Proxy(shared_rabbit.port)
    publisher = Publisher(
        shared_rabbit.url.replace(str(shared_rabbit.port), str(wire.port)), channel
    )
    publisher.send(channel, "there")
    wire.cut()
    with pytest.raises(QueueUnavailable):
        publisher.send(channel, "gone")

    for number in range(10_000):
        publisher.carry([f"{channel}/{number}"], b"x" * 1000, keep=False)
    publisher.carry([f"{channel}/end"], b"the end", keep=True)
    assert not publisher.settle(600)  # it does not wait for a broker that is away
    assert publisher.dropped >= 10_000

    wire.heal()
    wait_until(lambda: publisher.settle(1), what="the end of a run to be carried")
    publisher.close()
    told = [record.message for record in caplog.records if "not carried" in record.message]
    assert len(told) == 1
    assert told[0].startswith(f"so far {publisher.dropped} messages were not carried")
    wire.close()


def test_what_waits_is_bounded(channel: str) -> None:
    publisher = Publisher("amqp://127.0.0.1:1", channel)
    for _ in range(400):
        publisher.carry([channel], b"x" * 100_000, keep=True)
    assert sum(parcel.size for parcel in publisher._waiting) <= 16_777_216
    publisher.close()
