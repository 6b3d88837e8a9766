"""Several apps on one queue: channels keep them apart, and versions that mix are told."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Iterator

import pytest
import requests
from flask_socketio import SocketIO

from bridge import __version__
from bridge.errors import QueueUnavailable
from bridge.journal import RedisJournal
from bridge.relay.versions import Versions
from bridge.rooms import versions_key
from bridge.settings import Settings
from tests.conftest import wait_until
from tests.nodes import Client, Node, Worker, running


@pytest.fixture(scope="module")
def two(shared_settings: Settings) -> Iterator[list[tuple[Node, Worker]]]:
    """Two apps, each with a node and a worker, with the same secret on the same Redis."""
    names = [f"app-{letter}-{uuid.uuid4().hex}" for letter in "ab"]
    one, other = (dataclasses.replace(shared_settings, channel=name) for name in names)
    with running(one) as here, running(other) as there:
        yield [(here, Worker(one)), (there, Worker(other))]


def test_different_channels_never_hear_each_other(two: list[tuple[Node, Worker]], job: str) -> None:
    """The same job id, the same user and the same room, in both apps at the same time."""
    (here, ours), (there, theirs) = two
    token = ours.tokens.issue(user="ann")
    clients = [Client(node.url) for node in (here, there)]
    for client, worker in zip(clients, (ours, theirs), strict=True):
        worker.state(job, "STARTED", user="ann", message=worker.settings.channel)
        assert client.ask("watch", {"job": job, "token": token})["ok"]
        assert client.ask("watch", {"user": "ann", "token": token})["ok"]
    for number, worker in enumerate((ours, theirs) * 5):
        worker.state(job, user="ann", current=number, message=worker.settings.channel)
        worker.event(job, data=worker.settings.channel, user="ann")
    foreign = SocketIO(
        message_queue=theirs.settings.message_queue, channel=theirs.settings.channel,
        async_mode="threading",
    )  # fmt: skip
    foreign.emit("stock", {"seq": 0}, to=f"job:{job}", namespace="/bridge")

    clients[0].wait(8)
    clients[1].wait(9)
    wait_until(lambda: "stock" in [name for name, _ in clients[1].received])
    for client, worker in zip(clients, (ours, theirs), strict=True):
        heard = {data.get("message") or data.get("data") for _, data in client.received}
        assert heard - {None} == {worker.settings.channel}
    assert "stock" not in [name for name, _ in clients[0].received]
    assert clients[0].seqs() == [1, 2, 3, 4, 5]
    for client in clients:
        client.close()


def test_another_version_on_the_channel_is_told_once(settings: Settings) -> None:
    worker = Worker(settings)
    worker.redis.hset(versions_key(settings.channel), "9.9.9", round(time.time()))
    worker.redis.hset(versions_key(settings.channel), "0.0.1", round(time.time()) - 3600)
    worker.redis.hset(versions_key(settings.channel), "not a version\n", round(time.time()))
    with running(settings) as node:

        def versions() -> object:
            return requests.get(f"{node.url}/readyz", timeout=30).json()["versions"]

        wait_until(lambda: versions() == {"own": __version__, "others": ["9.9.9"]})
        wait_until(lambda: requests.get(f"{node.url}/readyz", timeout=30).ok, what="it to serve")
        told = [line for line in node.log if "9.9.9" in line]
        assert len(told) == 1
        assert settings.channel in told[0]
        assert __version__ in told[0]


def test_who_runs_jobs_leaves_its_version(settings: Settings) -> None:
    journal = Worker(settings).journal
    journal.renew(["somebody"], 1)
    assert journal.announce("1.2.3") == [__version__, "1.2.3"]


def test_each_is_told_once_and_forgotten_when_it_is_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found: list[list[str] | None] = [[__version__, "2.0"], None, ["2.0"], [__version__], ["2.0"]]

    def announce(version: str) -> list[str]:
        assert version == __version__
        answer = found.pop(0)
        if answer is None:
            raise QueueUnavailable("away")
        return answer

    versions = Versions("jobs", announce)
    seen = []
    while found:
        versions.look()
        seen.append(versions.others)
    assert seen == [("2.0",), ("2.0",), ("2.0",), (), ("2.0",)]
    assert len([r for r in caplog.records if "2.0" in r.getMessage()]) == 1


def test_channels_have_versions_of_their_own(settings: Settings, shared_settings: Settings) -> None:
    other = RedisJournal(Worker(shared_settings).redis, shared_settings)
    RedisJournal(Worker(settings).redis, settings).announce("3.0")
    assert "3.0" not in other.announce(__version__)
