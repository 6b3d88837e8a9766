"""The subscriber, over a real Redis that comes and goes."""

from __future__ import annotations

import importlib.util
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from bridge.message_queue.subscriber import Subscriber
from tests.conftest import RedisServer, wait_until
from tests.nodes import passes


class Heard:
    """What a subscriber told."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.lost = 0
        self.recovered = 0

    def on_message(self, channel: str, data: bytes) -> None:
        self.messages.append((channel, data))

    def on_lost(self) -> None:
        self.lost += 1

    def on_recovered(self) -> None:
        self.recovered += 1


Listen = Callable[..., tuple[Subscriber, Heard]]


@pytest.fixture
def listen(channel: str) -> Iterator[Listen]:
    made: list[Subscriber] = []

    def listen(url: str) -> tuple[Subscriber, Heard]:
        heard = Heard()
        subscriber = Subscriber(
            url,
            channel,
            on_message=heard.on_message,
            on_lost=heard.on_lost,
            on_recovered=heard.on_recovered,
        )
        made.append(subscriber)
        subscriber.start()
        return subscriber, heard

    yield listen
    for subscriber in made:
        subscriber.stop()


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    client.close()


def test_what_is_published_after_the_confirmation_is_heard(
    listen: Listen, redis_url: str, redis: Redis, channel: str
) -> None:
    subscriber, heard = listen(redis_url)
    names = [f"{channel}/{number}" for number in range(1200)]

    tickets = [subscriber.subscribe(name) for name in names]

    assert all(ticket.wait(5) for ticket in tickets)
    for name in names:
        assert redis.publish(name, name) == 1
    wait_until(lambda: len(heard.messages) == len(names))
    assert heard.messages == [(name, name.encode()) for name in names]


def test_relay_channel_is_always_heard(
    listen: Listen, redis_url: str, redis: Redis, channel: str
) -> None:
    _, heard = listen(redis_url)
    wait_until(lambda: redis.publish(f"{channel}/relay", "join") == 1)
    wait_until(lambda: heard.messages == [(f"{channel}/relay", b"join")])


def test_subscribing_again_is_confirmed_at_once(listen: Listen, redis_url: str) -> None:
    subscriber, _ = listen(redis_url)
    assert subscriber.subscribe("again").wait(5)
    assert subscriber.subscribe("again").wait(5)


def test_commands_keep_their_order(
    listen: Listen, redis_url: str, redis: Redis, channel: str
) -> None:
    subscriber, _ = listen(redis_url)
    name = f"{channel}/on-and-off"
    for _ in range(200):
        subscriber.subscribe(name)
        subscriber.unsubscribe(name)
    assert subscriber.subscribe(name).wait(5)
    assert redis.publish(name, "x") == 1

    subscriber.unsubscribe(name)
    assert subscriber.subscribe(f"{channel}/after").wait(5)
    assert redis.publish(name, "x") == 0


def test_many_threads_at_once(listen: Listen, redis_url: str, redis: Redis, channel: str) -> None:
    # Seen with other subscribers: a subscription made while the connection is set up is lost.
    subscriber, heard = listen(redis_url)
    confirmed: list[bool] = []

    def join(number: int) -> None:
        confirmed.append(subscriber.subscribe(f"{channel}/{number}").wait(5))

    threads = [threading.Thread(target=join, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert confirmed == [True] * 200
    assert [redis.publish(f"{channel}/{number}", "x") for number in range(200)] == [1] * 200
    wait_until(lambda: len(heard.messages) == 200)


def test_a_handler_that_raises_costs_no_message(
    redis_url: str, redis: Redis, channel: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[bytes] = []

    def on_message(_: str, data: bytes) -> None:
        if data == b"bad":
            raise RuntimeError("a fault")
        heard.append(data)

    subscriber = Subscriber(
        redis_url, channel, on_message=on_message, on_lost=lambda: None, on_recovered=lambda: None
    )
    subscriber.start()
    assert subscriber.subscribe(channel).wait(5)

    redis.publish(channel, "bad")
    redis.publish(channel, "good")

    wait_until(lambda: heard == [b"good"])
    assert "a fault" in caplog.text
    subscriber.stop()


def test_large_messages_come_whole(
    listen: Listen, redis_url: str, redis: Redis, channel: str
) -> None:
    subscriber, heard = listen(redis_url)
    assert subscriber.subscribe(channel).wait(5)
    large = b"x" * 5_000_000

    redis.publish(channel, large)
    redis.publish(channel, b"small")

    wait_until(lambda: len(heard.messages) == 2)
    assert [data for _, data in heard.messages] == [large, b"small"]


def test_it_hears_itself(listen: Listen, redis_url: str) -> None:
    subscriber, heard = listen(redis_url)
    wait_until(lambda: subscriber.heard_seconds is not None)
    assert heard.messages == []


def test_back_within_a_second_with_all_channels(
    listen: Listen, own_redis: RedisServer, channel: str
) -> None:
    subscriber, heard = listen(own_redis.url)
    names = [f"{channel}/{number}" for number in range(50)]
    assert all(ticket.wait(5) for ticket in [subscriber.subscribe(name) for name in names])
    own_redis.stop()
    wait_until(lambda: heard.lost == 1)
    late = subscriber.subscribe(f"{channel}/late")
    subscriber.unsubscribe(names[0])
    assert not late.wait(0.1)
    assert heard.recovered == 0

    own_redis.start()
    began = time.monotonic()
    wait_until(lambda: heard.recovered == 1)

    assert time.monotonic() - began < 1.5
    assert late.wait(1)
    client = own_redis.client
    assert [client.publish(name, "x") for name in names] == [0] + [1] * 49
    client.close()


def test_it_starts_before_the_server(listen: Listen, own_redis: RedisServer, channel: str) -> None:
    own_redis.stop()
    subscriber, heard = listen(own_redis.url)
    ticket = subscriber.subscribe(channel)
    assert not ticket.wait(0.2)

    own_redis.start()

    assert ticket.wait(5)
    assert heard.lost == 0


class Proxy:
    """A TCP proxy whose first connection can be made silent, as a black hole makes it."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.silent: set[int] = set()
        self.count = 0
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(
                    target=self._copy, args=(source, sink, self.count), daemon=True
                ).start()
            self.count += 1

    def _copy(self, source: socket.socket, sink: socket.socket, number: int) -> None:
        try:
            while data := source.recv(65536):
                if number not in self.silent:
                    sink.sendall(data)
        except OSError:
            pass

    def close(self) -> None:
        for each in (self._listener, *self._sockets):
            each.close()


def test_a_deaf_connection_is_noticed_and_made_anew(
    listen: Listen, own_redis: RedisServer, channel: str
) -> None:
    proxy = Proxy(own_redis.port)
    subscriber, heard = listen(f"redis://127.0.0.1:{proxy.port}")
    assert subscriber.subscribe(channel).wait(5)
    wait_until(lambda: subscriber.heard_seconds is not None)

    # The one that listens falls silent, without a word; the one that publishes works on.
    proxy.silent = {0, 1}
    wait_until(lambda: heard.lost == 1, seconds=20)
    wait_until(lambda: heard.recovered == 1)

    assert own_redis.client.publish(channel, "x") >= 1
    wait_until(lambda: heard.messages == [(channel, b"x")])
    subscriber.stop()
    proxy.close()


MODES = [
    "eventlet",
    pytest.param(
        "gevent",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("gevent") is None, reason="gevent is not installed"
        ),
    ),
]


@pytest.mark.parametrize("mode", MODES)
def test_the_same_in_green_threads(mode: str, own_redis: RedisServer) -> None:
    passes(f"""
from bridge.relay.patching import patch
patch({mode!r})
import threading, time
from bridge.message_queue.subscriber import Subscriber
from redis import Redis
heard, lost, back = [], [], []
subscriber = Subscriber("{own_redis.url}", "ch", on_message=lambda c, m: heard.append(m),
                        on_lost=lambda: lost.append(1), on_recovered=lambda: back.append(1))
subscriber.start()
tickets = [subscriber.subscribe(f"c{{n}}") for n in range(500)]
assert all(ticket.wait(5) for ticket in tickets)
redis = Redis.from_url("{own_redis.url}")
ticks = []
def tick():
    while True:
        ticks.append(time.monotonic())
        time.sleep(0.01)
threading.Thread(target=tick, daemon=True).start()
def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
assert redis.publish("c7", "x" * 1000000) == 1
until(lambda: heard and len(heard[0]) == 1000000)
redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
until(lambda: lost and back)
assert redis.publish("c7", "y") == 1
until(lambda: len(heard) == 2)
until(lambda: len(ticks) > 100)
assert max(b - a for a, b in zip(ticks, ticks[1:])) < 0.5, "others were kept waiting"
subscriber.stop()
redis.close()
""")


def test_it_connects_again_however_often_it_has_to(
    listen: Listen, own_redis: RedisServer, channel: str
) -> None:
    own_redis.stop()
    subscriber, heard = listen(own_redis.url)
    pool = subscriber._client.connection_pool
    pool.max_connections = 2  # redis-py's pools refuse the connection after the hundredth
    time.sleep(1.5)  # the outage; some five attempts
    own_redis.start()
    assert subscriber.subscribe(f"{channel}/a").wait(10)
    own_redis.client.publish(f"{channel}/a", b"x")
    wait_until(lambda: heard.messages)
