"""The worker's manager on a real Redis: jobs are journalled, all else is as stock sends it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import socketio
from redis import Redis

from bridge.errors import QueueUnavailable
from bridge.frames import Frame
from bridge.records import state_publication
from bridge.rooms import relay_channel
from bridge.sender.emitter import Emitter
from bridge.sender.progress import Progress
from bridge.sender.run import Run
from bridge.settings import Settings
from tests.conftest import RedisServer

pytestmark = pytest.mark.redis


@pytest.fixture
def emitter(settings: Settings) -> Iterator[Emitter]:
    emitter = Emitter(settings)
    yield emitter
    emitter.close()


class Listener:
    def __init__(self, client: Redis, *channels: str) -> None:
        self.pubsub = client.pubsub(ignore_subscribe_messages=True)
        self.pubsub.psubscribe(*channels)
        while self.pubsub.get_message(timeout=0.1):
            pass

    def next(self) -> dict[str, Any]:
        end = time.monotonic() + 5
        while time.monotonic() < end:
            message = self.pubsub.get_message(timeout=0.5)
            if message is not None:
                return dict(message)
        pytest.fail("nothing was heard")


@pytest.fixture
def listener(shared_redis: RedisServer, settings: Settings) -> Iterator[Listener]:
    client = shared_redis.client
    listener = Listener(client, f"{settings.channel}*")
    yield listener
    listener.pubsub.close()
    client.close()


def test_a_jobs_message_is_journalled_and_heard_on_its_own_channel_only(
    emitter: Emitter, listener: Listener, settings: Settings
) -> None:
    progress = Progress(Run(job="j"))
    publication = state_publication(progress.record(0), run_id="r", start=True)

    (receipt,) = emitter.publish([publication])

    message = listener.next()
    assert message["channel"].decode() == f"{settings.channel}/job:{{j}}"
    assert Frame.parse(message["data"]).rev == receipt.rev
    assert emitter.journal.read([("j", 0)])[0].snapshot is not None
    assert listener.pubsub.get_message(timeout=0.1) is None


def test_everything_else_goes_out_as_stock_sends_it(
    emitter: Emitter, listener: Listener, settings: Settings, redis_url: str
) -> None:
    emitter.send("note", {"a": [1, "é"]}, to="lobby", namespace="/chat")
    ours = listener.next()
    stock = socketio.RedisManager(redis_url, channel=settings.channel, write_only=True)
    stock.emit("note", {"a": [1, "é"]}, room="lobby", namespace="/chat")
    theirs = listener.next()

    assert ours["channel"] == theirs["channel"] == settings.channel.encode()
    ours_said, theirs_said = (json.loads(message["data"]) for message in (ours, theirs))
    del ours_said["host_id"], theirs_said["host_id"]
    assert ours_said == theirs_said


def test_who_joins_is_told_to_the_relays(
    emitter: Emitter, listener: Listener, settings: Settings
) -> None:
    emitter.join("sid-1", "/chat", "j")
    message = listener.next()
    assert message["channel"].decode() == relay_channel(settings.channel)
    assert json.loads(message["data"]) == {
        "method": "join", "sid": "sid-1", "namespace": "/chat", "job": "j",
    }  # fmt: skip


def test_a_dead_queue_is_an_error_and_not_silence(own_redis: RedisServer, channel: str) -> None:
    settings = Settings.load({"message_queue": own_redis.url, "channel": channel}, environ={})
    emitter = Emitter(settings)
    own_redis.stop()
    for action in (
        lambda: emitter.send("note", 1, to="x", namespace="/"),
        lambda: emitter.join("s", "/", "j"),
        lambda: emitter.publish([state_publication(Progress(Run(job="j")).record(0))]),
    ):
        with pytest.raises(QueueUnavailable):
            action()
    own_redis.start()
    emitter.send("note", 1, to="x", namespace="/")
    emitter.close()
