"""A Redis that only carries, for a journal that is elsewhere."""

from __future__ import annotations

import pytest

from bridge.message_queue.choice import carrier_of
from bridge.message_queue.redis_carrier import RedisCarrier
from bridge.settings import Settings
from tests.conftest import RedisServer, wait_until

pytestmark = pytest.mark.redis


def test_it_carries_and_tells_whether_anybody_listens(own_redis: RedisServer, channel: str) -> None:
    given = {"message_queue": own_redis.url, "journal": "memory", "channel": channel}
    carrier = carrier_of(Settings.load(given, environ={}))
    assert isinstance(carrier, RedisCarrier)
    carrier.carry(["job", "root"], b"1", keep=False)
    assert not carrier.listened_to(["job"])
    listener = own_redis.client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("root")
    listener.get_message(timeout=5)
    carrier.carry(["job", "root"], b"2", keep=False)
    assert carrier.listened_to(["job"])
    heard: list[bytes] = []

    def hear() -> list[bytes]:
        message = listener.get_message(timeout=0.1)
        heard.extend([] if message is None else [message["data"]])
        return heard

    wait_until(hear)
    assert heard == [b"2"]

    own_redis.stop()
    carrier.carry(["job"], b"3", keep=False)
    carrier.carry(["job"], b"4", keep=True)
    assert carrier.dropped == 2, "nothing is raised, and the journal has it"
    own_redis.start()
    carrier.carry(["job"], b"5", keep=True)
    assert carrier.dropped == 2
    listener.close()
    carrier.close()
