"""What a sender survives of a real Redis: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from bridge.journal import RedisJournal, connect
from bridge.rooms import events_key, state_key
from bridge.sender.events import events_of
from bridge.sender.outbox import Outbox
from bridge.sender.process import open_emitter
from bridge.sender.progress import Progress
from bridge.sender.run import Run
from bridge.settings import Settings
from tests.conftest import RedisServer, free_port, redis_server_or_skip, wait_until
from tests.faults.proxy import Proxy
from tests.sender.test_outbox import warnings_of

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = redis_server_or_skip(tmp_path_factory.mktemp("healing"))
    yield server
    server.stop()


class Sending:
    """A running job, its sender and its journal."""

    def __init__(self, url: str, channel: str) -> None:
        settings = Settings.load({"message_queue": url, "channel": channel}, environ={})
        self.outbox = Outbox(settings, open_emitter(settings))
        self.journal = RedisJournal(connect(url), settings)
        self.run = Run(job=f"job-{channel}")
        self.progress = Progress(
            self.run,
            send_event=events_of(self.run, lambda: self.outbox),
            told_end=self.outbox.ended,
        )
        self.lane = self.outbox.open(self.progress)
        self.outbox.wait_acknowledged(self.lane, 30)

    @property
    def keys(self) -> tuple[str, str]:
        """The job's keys in Redis."""
        channel = self.outbox._settings.channel
        return state_key(channel, self.run.job), events_key(channel, self.run.job)

    def read(self) -> tuple[dict[str, Any], list[Any]]:
        (reading,) = self.journal.read([(self.run.job, 0)])
        assert reading.snapshot is not None
        return reading.snapshot, [event["data"] for event in reading.events]


def without_memory(server: Redis) -> Callable[[], object]:
    server.config_set("maxmemory-policy", "noeviction")
    server.config_set("maxmemory", "1")
    return lambda: server.config_set("maxmemory", "0")


def as_a_replica(server: Redis) -> Callable[[], object]:
    server.replicaof("127.0.0.1", str(free_port()))
    return lambda: server.replicaof("NO", "ONE")


def with_another_password(server: Redis) -> Callable[[], object]:
    server.config_set("requirepass", "another")
    server.client_kill_filter(_type="normal", skipme=True)
    return lambda: server.config_set("requirepass", "")


@pytest.mark.parametrize("trouble", [without_memory, as_a_replica, with_another_password])
def test_what_the_server_refuses_is_sent_when_it_no_longer_does(
    redis: RedisServer,
    channel: str,
    trouble: Callable[[Redis], Callable[[], object]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    sending = Sending(redis.url, channel)
    sending.progress.emit("before", 0)
    assert sending.outbox.flush(30)
    admin = redis.client
    admin.ping()

    heal = trouble(admin)
    try:
        for number in range(1, 600):
            sending.progress.emit("during", number)
        sending.progress.finish("SUCCESS")
        wait_until(lambda: sending.outbox.down)
    finally:
        heal()

    assert sending.outbox.flush(30)
    snapshot, events = sending.read()
    assert snapshot["state"] == "SUCCESS"
    assert events == list(range(600))
    assert snapshot["last_seq"] == 600
    assert sending.outbox.counters.broken == 0
    assert len(warnings_of(sending.outbox, caplog)) >= 2, "that it went away, that it came back"


def test_a_server_that_forgets_its_scripts_is_taught_them_again(
    redis: RedisServer, channel: str
) -> None:
    sending = Sending(redis.url, channel)
    for number in range(20):
        redis.client.script_flush()
        sending.progress.emit("e", number)
        assert sending.outbox.flush(30)
    sending.progress.finish("SUCCESS")
    assert sending.outbox.flush(30)
    assert sending.read()[1] == list(range(20))
    assert sending.outbox.counters.outages == 0


def test_a_publication_whose_reply_is_lost_is_there_once(redis: RedisServer, channel: str) -> None:
    wire = Proxy(redis.port)
    sending = Sending(f"redis://127.0.0.1:{wire.port}/0", channel)
    for number in range(5):
        wire.lose_reply(b"EVALSHA")
        sending.progress.emit("e", number)
        assert sending.outbox.flush(30)
    wire.lose_reply(b"EVALSHA")
    sending.progress.finish("SUCCESS")
    assert sending.outbox.flush(30)
    snapshot, events = sending.read()
    assert (snapshot["state"], events) == ("SUCCESS", list(range(5)))
    assert wire.lost_replies >= 6
    wire.close()


def test_a_task_that_tells_nothing_is_remembered_by_a_journal_that_lost_everything(
    redis: RedisServer, channel: str
) -> None:
    sending = Sending(redis.url, channel)
    sending.progress.emit("e", 1)
    assert sending.outbox.flush(30)
    before, _ = sending.read()
    redis.client.delete(*sending.keys)
    wait_until(lambda: redis.client.exists(sending.keys[0]))
    after, events = sending.read()
    assert after["rev"] > before["rev"]
    assert after["epoch"] > before["epoch"]
    assert (after["state"], after["run"], events) == ("STARTED", 1, [])


def test_a_journal_that_went_back_is_told_and_gives_no_number_twice(
    redis: RedisServer, channel: str
) -> None:
    sending = Sending(redis.url, channel)
    sending.progress.emit("e", 1)
    assert sending.outbox.flush(30)
    before, _ = sending.read()
    kept = [redis.client.dump(key) for key in sending.keys]
    for number in (2, 3):
        sending.progress.emit("e", number)
    assert sending.outbox.flush(30)
    for key, value in zip(sending.keys, kept, strict=True):
        redis.client.restore(key, 0, value, replace=True)
    wait_until(lambda: sending.read()[0]["epoch"] > before["epoch"], what="the courier's question")
    sending.progress.emit("e", 4)
    assert sending.outbox.flush(30)
    (reading,) = sending.journal.read([(sending.run.job, 0)])
    assert [(event["seq"], event["data"]) for event in reading.events] == [(1, 1), (4, 4)]


def test_an_end_that_the_journal_took_and_lost_is_told_again(
    redis: RedisServer, channel: str
) -> None:
    sending = Sending(redis.url, channel)
    kept = redis.client.dump(sending.keys[0])
    sending.progress.finish("SUCCESS")
    assert sending.outbox.flush(30)
    redis.client.restore(sending.keys[0], 0, kept, replace=True)
    assert sending.read()[0]["state"] == "STARTED"
    wait_until(lambda: sending.read()[0]["state"] == "SUCCESS")


def test_an_idle_process_notices_that_the_journal_lost_its_ends(
    redis: RedisServer, channel: str
) -> None:
    """Nobody runs or ends there any more, so that nothing but a question finds it out."""
    sending = Sending(redis.url, channel)
    first = sending.run.job
    sending.progress.finish("SUCCESS")
    assert sending.outbox.flush(30)
    second = Progress(Run(job=f"second-{channel}"), told_end=sending.outbox.ended)
    sending.outbox.open(second)
    second.finish("FAILURE")
    assert sending.outbox.flush(30)
    ended = sending.outbox.courier._ended
    wait_until(lambda: all(each.found for each in list(ended)), what="both to be found")

    redis.client.flushall()

    def states() -> list[Any]:
        readings = sending.journal.read([(first, -1), (second.job, -1)])
        return [(reading.snapshot or {}).get("state") for reading in readings]

    wait_until(lambda: states() == ["SUCCESS", "FAILURE"], what="both ends to be told again")
