"""Redis and RabbitMQ behind one face, for tests of what both must do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.message_queue.choice import carrier_of, line_of
from bridge.message_queue.rabbitmq.publisher import Publisher
from bridge.message_queue.subscriber import Line
from bridge.settings import Settings
from tests.conftest import RabbitServer, RedisServer
from tests.nodes import job

__all__ = ["job"]


class Broker:
    """A real server that carries messages, with somebody who publishes on it."""

    def __init__(self, server: RedisServer | RabbitServer, channel: str) -> None:
        self.server = server
        self.channel = channel
        self._publisher: Publisher | None = None
        self._made: list[Any] = []

    @property
    def by_rabbitmq(self) -> bool:
        return isinstance(self.server, RabbitServer)

    def settings(self, port: int | None = None) -> Settings:
        """Settings of who reaches it, by another port if that is a proxy's."""
        url = self.server.url.replace(str(self.server.port), str(port or self.server.port))
        journal = "redis://127.0.0.1:1/0" if self.by_rabbitmq else None
        return Settings.load(
            {"message_queue": url, "journal": journal, "channel": self.channel}, environ={}
        )

    def line(self, port: int | None = None) -> Line:
        settings = self.settings(port)
        return line_of(settings, carrier_of(settings))

    def publish(self, channel: str, data: str | bytes) -> int:
        """Publish; returns how many nodes heard it (from RabbitMQ: whether any did)."""
        if isinstance(self.server, RedisServer):
            client = self.server.client
            try:
                return int(client.publish(channel, data))  # type: ignore[arg-type]
            finally:
                client.close()
        if self._publisher is None:
            self._publisher = Publisher(self.server.url, self.channel)
        self._publisher.carry([channel], data, keep=True)
        end = time.monotonic() + 10
        while not self._publisher.settle(1):
            assert time.monotonic() < end
        return int(self._publisher.listened_to([channel]))

    def cut_listeners(self) -> None:
        """Close the connections of those who listen, from the server's side."""
        if isinstance(self.server, RabbitServer):
            self.server.control("close_all_connections", "a test")
            return
        client = self.server.client
        client.client_kill_filter(_type="pubsub")
        client.close()

    def close(self) -> None:
        if self._publisher is not None:
            self._publisher.close()


BOTH = [
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("rabbit", marks=pytest.mark.rabbitmq),
]


@pytest.fixture(params=BOTH)
def broker(request: pytest.FixtureRequest, channel: str) -> Iterator[Broker]:
    """One that many tests share."""
    broker = Broker(request.getfixturevalue(f"shared_{request.param}"), channel)
    yield broker
    broker.close()


@pytest.fixture(params=BOTH)
def own_broker(request: pytest.FixtureRequest, channel: str) -> Iterator[Broker]:
    """One to be stopped and started at will."""
    broker = Broker(
        request.getfixturevalue("own_redis" if request.param == "redis" else "lent_rabbit"), channel
    )
    yield broker
    broker.close()
