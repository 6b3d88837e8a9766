"""The subscriber, over a real Redis and a real RabbitMQ that come and go."""

from __future__ import annotations

import importlib.util
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge.message_queue.redis_line import RedisLine
from bridge.message_queue.subscriber import Line, Subscriber
from tests.conftest import RedisServer, free_port, wait_until
from tests.message_queue.conftest import Broker
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

    def listen(line: Line) -> tuple[Subscriber, Heard]:
        heard = Heard()
        subscriber = Subscriber(
            line,
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


def test_what_is_published_after_the_confirmation_is_heard(
    listen: Listen, broker: Broker, channel: str
) -> None:
    subscriber, heard = listen(broker.line())
    names = [f"{channel}/{number}" for number in range(1200)]

    tickets = [subscriber.subscribe(name) for name in names]

    assert all(ticket.wait(30) for ticket in tickets)
    for name in names:
        assert broker.publish(name, name) == 1
    wait_until(lambda: len(heard.messages) == len(names))
    assert heard.messages == [(name, name.encode()) for name in names]


def test_relay_channel_is_always_heard(listen: Listen, broker: Broker, channel: str) -> None:
    _, heard = listen(broker.line())
    wait_until(lambda: broker.publish(f"{channel}/relay", "join") == 1)
    wait_until(lambda: heard.messages == [(f"{channel}/relay", b"join")])


def test_subscribing_again_is_confirmed_at_once(listen: Listen, broker: Broker) -> None:
    subscriber, _ = listen(broker.line())
    assert subscriber.subscribe("again").wait(30)
    assert subscriber.subscribe("again").wait(30)


def test_commands_keep_their_order(listen: Listen, broker: Broker, channel: str) -> None:
    subscriber, _ = listen(broker.line())
    name = f"{channel}/on-and-off"
    for _ in range(200):
        subscriber.subscribe(name)
        subscriber.unsubscribe(name)
    assert subscriber.subscribe(name).wait(30)
    assert broker.publish(name, "x") == 1

    subscriber.unsubscribe(name)
    assert subscriber.subscribe(f"{channel}/after").wait(30)
    assert broker.publish(name, "x") == 0


def test_many_threads_at_once(listen: Listen, broker: Broker, channel: str) -> None:
    # Seen with other subscribers: a subscription made while the connection is set up is lost.
    subscriber, heard = listen(broker.line())
    confirmed: list[bool] = []

    def join(number: int) -> None:
        confirmed.append(subscriber.subscribe(f"{channel}/{number}").wait(30))

    threads = [threading.Thread(target=join, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert confirmed == [True] * 200
    assert [broker.publish(f"{channel}/{number}", "x") for number in range(200)] == [1] * 200
    wait_until(lambda: len(heard.messages) == 200)


def test_a_handler_that_raises_costs_no_message(
    broker: Broker, channel: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[bytes] = []

    def on_message(_: str, data: bytes) -> None:
        if data == b"bad":
            raise RuntimeError("a fault")
        heard.append(data)

    subscriber = Subscriber(
        broker.line(), channel,
        on_message=on_message, on_lost=lambda: None, on_recovered=lambda: None,
    )  # fmt: skip
    subscriber.start()
    assert subscriber.subscribe(f"{channel}/room").wait(30)

    broker.publish(f"{channel}/room", "bad")
    broker.publish(f"{channel}/room", "good")

    wait_until(lambda: heard == [b"good"])
    assert "a fault" in caplog.text
    subscriber.stop()


def test_large_messages_come_whole(listen: Listen, broker: Broker, channel: str) -> None:
    subscriber, heard = listen(broker.line())
    assert subscriber.subscribe(f"{channel}/room").wait(30)
    large = b"x" * 5_000_000

    broker.publish(f"{channel}/room", large)
    broker.publish(f"{channel}/room", b"small")

    wait_until(lambda: len(heard.messages) == 2)
    assert [data for _, data in heard.messages] == [large, b"small"]


def test_it_hears_itself(listen: Listen, broker: Broker) -> None:
    subscriber, heard = listen(broker.line())
    wait_until(lambda: subscriber.heard_seconds is not None)
    assert heard.messages == []


def test_back_with_all_channels(listen: Listen, own_broker: Broker, channel: str) -> None:
    subscriber, heard = listen(own_broker.line())
    names = [f"{channel}/{number}" for number in range(50)]
    assert all(ticket.wait(30) for ticket in [subscriber.subscribe(name) for name in names])
    own_broker.stop()
    wait_until(lambda: heard.lost == 1)
    late = subscriber.subscribe(f"{channel}/late")
    subscriber.unsubscribe(names[0])
    assert not late.wait(0.1)
    assert heard.recovered == 0

    own_broker.start()
    wait_until(lambda: heard.recovered == 1)

    assert late.wait(30)
    assert [own_broker.publish(name, "x") for name in names] == [0] + [1] * 49


def test_it_starts_before_the_server(listen: Listen, own_broker: Broker, channel: str) -> None:
    own_broker.stop()
    subscriber, heard = listen(own_broker.line())
    ticket = subscriber.subscribe(f"{channel}/room")
    assert not ticket.wait(0.2)

    own_broker.start()

    assert ticket.wait(30)
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
    listen: Listen, broker: Broker, channel: str
) -> None:
    proxy = Proxy(broker.server.port)
    subscriber, heard = listen(broker.line(proxy.port))
    assert subscriber.subscribe(f"{channel}/room").wait(30)
    wait_until(lambda: subscriber.heard_seconds is not None)

    # The one that listens falls silent, without a word; the one that publishes works on.
    proxy.silent = {0, 1}
    wait_until(lambda: heard.lost == 1, seconds=20)
    wait_until(lambda: heard.recovered == 1)

    assert broker.publish(f"{channel}/room", "x") >= 1
    wait_until(lambda: heard.messages == [(f"{channel}/room", b"x")])
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
def test_the_same_in_green_threads(mode: str, broker: Broker) -> None:
    settings = broker.settings()
    passes(f"""
from bridge.relay.patching import patch
patch({mode!r})
import socket, threading, time
from bridge.message_queue.choice import carrier_of, line_of, post_of
from bridge.message_queue.subscriber import Subscriber
from bridge.settings import Settings
settings = Settings.load({{"message_queue": {settings.message_queue!r}, "journal":
                          {settings.journal!r}, "channel": {settings.channel!r}}}, environ={{}})
heard, lost, back, links = [], [], [], []
carrier = carrier_of(settings)
line = line_of(settings, carrier)
opened = line.open
line.open = lambda: links.append(opened()) or links[-1]
subscriber = Subscriber(line, settings.channel, on_message=lambda c, m: heard.append(m),
                        on_lost=lambda: lost.append(1), on_recovered=lambda: back.append(1))
subscriber.start()
tickets = [subscriber.subscribe(f"c{{n}}") for n in range(500)]
assert all(ticket.wait(30) for ticket in tickets)
post = post_of(settings, carrier)
ticks = []
def tick():
    while True:
        ticks.append(time.monotonic())
        time.sleep(0.01)
threading.Thread(target=tick, daemon=True).start()
def until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, condition
        time.sleep(0.01)
post.send("c7", "x" * 1000000)
until(lambda: heard and len(heard[0]) == 1000000)
links[-1].socket.shutdown(socket.SHUT_RDWR)
until(lambda: lost and back)
post.send("c7", "y")
until(lambda: len(heard) == 2)
until(lambda: len(ticks) > 100)
gaps = sorted(b - a for a, b in zip(ticks, ticks[1:]))
assert gaps[len(gaps) // 2] < 0.5, "others were kept waiting"
subscriber.stop()
post.close()
""")


class Hurried(threading.Event):
    """Notes how long it was to wait, and hardly does."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.append(timeout)
        return super().wait(0.001)


def test_it_tries_again_within_a_second_however_long_the_queue_is_away_and_says_so_once(
    channel: str, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    line = RedisLine(f"redis://127.0.0.1:{port}/0")
    subscriber = Subscriber(
        line, channel, on_message=lambda *_: None, on_lost=lambda: None, on_recovered=lambda: None
    )
    subscriber._stopped = pauses = Hurried()
    subscriber.start()
    wait_until(lambda: len(pauses.asked) > 50)
    subscriber.stop()
    asked = [seconds for seconds in pauses.asked if seconds is not None]
    assert 0.5 <= max(asked) <= 1.0
    told = [r.levelname for r in caplog.records if f":{port}" in r.getMessage()]
    assert told == ["WARNING"]


def test_it_connects_again_however_often_it_has_to(
    listen: Listen, own_redis: RedisServer, channel: str
) -> None:
    own_redis.stop()
    line = RedisLine(own_redis.url)
    subscriber, heard = listen(line)
    pool = line._client.connection_pool
    pool.max_connections = 2  # redis-py's pools refuse the connection after the hundredth
    attempts = 0
    opened = line.open

    def counted() -> Any:
        nonlocal attempts
        attempts += 1
        return opened()

    line.open = counted  # type: ignore[method-assign]
    wait_until(lambda: attempts >= 3)
    own_redis.start()
    assert subscriber.subscribe(f"{channel}/a").wait(30)
    own_redis.client.publish(f"{channel}/a", b"x")
    wait_until(lambda: heard.messages)
