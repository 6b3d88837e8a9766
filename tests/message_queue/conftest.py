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
from tests.faults.proxy import Proxy
from tests.nodes import job

__all__ = ["job"]


class Broker:
    """A real server that carries messages, with somebody who publishes on it.

    Args:
        server: the server; channel: the base channel.
        wire: before the server, for who listens.
    """

    def __init__(
        self, server: RedisServer | RabbitServer, channel: str, wire: Proxy | None = None
    ) -> None:
        self.server = server
        self.channel = channel
        self._wire = wire
        self._publisher: Publisher | None = None
        self._made: list[Any] = []

    @property
    def by_rabbitmq(self) -> bool:
        return isinstance(self.server, RabbitServer)

    def settings(self, port: int | None = None) -> Settings:
        """Settings of who reaches it, by another port if that is a proxy's."""
        port = port or (self._wire or self.server).port
        url = self.server.url.replace(str(self.server.port), str(port))
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

    def stop(self) -> None:
        """Go away, for who listens."""
        if self._wire is not None:
            self._wire.cut()
        elif isinstance(self.server, RedisServer):
            self.server.stop()

    def start(self) -> None:
        """Come back, remembering nothing of who listened."""
        if self._wire is not None:
            self._wire.heal()
        else:
            self.server.start()

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
    """One that goes and comes. RabbitMQ takes too long for that: it goes by its wire."""
    if request.param == "redis":
        yield Broker(request.getfixturevalue("own_redis"), channel)
        return
    server: RabbitServer = request.getfixturevalue("shared_rabbit")
    wire = Proxy(server.port)
    broker = Broker(server, channel, wire)
    yield broker
    broker.close()
    wire.close()
