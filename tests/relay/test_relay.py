"""The relay with a real Redis and sockets whose reader is the test."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import socketio

from bridge.errors import QueueUnavailable, Unavailable
from bridge.journal import RedisJournal
from bridge.message_queue.redis_line import RedisLine
from bridge.message_queue.subscriber import Ticket
from bridge.relay import fanout, members, message
from bridge.relay import relay as relay_module
from bridge.relay.members import Member
from bridge.relay.relay import Relay
from bridge.rooms import relay_channel, room_channel
from bridge.settings import Settings
from tests.conftest import wait_until
from tests.nodes import Worker, holds_for


class Reader:
    """An Engine.IO socket of which the test reads what it likes."""

    closed = False

    def __init__(self) -> None:
        self.queue: queue.Queue[Any] = queue.Queue()
        self.read: list[tuple[str, dict[str, Any]]] = []

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        while not self.queue.empty():
            text = self.queue.get_nowait().data
            name, data = json.loads(text[text.index("[") :])
            self.read.append((name, data))
        return self.read

    def currents(self) -> list[Any]:
        return [data["current"] for name, data in self.take() if name == "progress"]

    def seqs(self) -> list[int]:
        return [data["seq"] for name, data in self.take() if name != "progress"]


Connect = Callable[..., tuple[Member, Reader]]


@pytest.fixture
def server() -> socketio.Server:
    return socketio.Server(async_mode="threading", namespaces="*")


@pytest.fixture
def relay(
    settings: Settings, server: socketio.Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Relay]:
    monkeypatch.setattr(members, "LINGER_SECONDS", 0.2)
    relay = Relay(settings, server)
    relay.start()
    wait_until(lambda: relay.heard_seconds is not None)
    yield relay
    relay.stop()


@pytest.fixture
def own_worker(settings: Settings) -> Worker:
    return Worker(settings)


@pytest.fixture
def connect(relay: Relay, server: socketio.Server) -> Connect:
    def connect(eio_sid: str = "eio", namespace: str = "/bridge") -> tuple[Member, Reader]:
        reader = server.eio.sockets.setdefault(eio_sid, Reader())
        sid = server.manager.pre_connect(eio_sid, namespace)
        server.manager.connect(sid, namespace)
        return relay.members.connect(namespace, sid, eio_sid), reader

    return connect


def watch(relay: Relay, member: Member, job: str) -> Any:
    room = f"job:{job}"
    (reading,) = relay.watch(member, {room: (room,)}, [(job, 0)])
    return reading


def test_a_slow_reader_holds_a_bounded_tail_then_gets_all_events_and_the_newest_state(
    relay: Relay, own_worker: Worker, connect: Connect, job: str
) -> None:
    member, reader = connect()
    fast, quick = connect("eio-fast")
    for each in (member, fast):
        watch(relay, each, job)
    own_worker.state(job, "STARTED", current=0)
    count = 400

    for number in range(1, count + 1):
        own_worker.event(job, data=number)
        own_worker.state(job, current=number)
        if number % 10 == 0:
            wait_until(lambda number=number: number in quick.currents())

    assert quick.seqs() == list(range(1, count + 1))
    assert reader.queue.qsize() <= fanout.SLOW_PACKETS
    wait_until(lambda: reader.currents()[-1:] == [count], what="the newest state")
    wait_until(lambda: reader.seqs() == list(range(1, count + 1)), what="all events, in order")
    assert reader.currents() == sorted(set(reader.currents()))
    assert not member.behind
    wait_until(lambda: not member.aside)


def test_tables_are_empty_again_after_everyone_left(
    relay: Relay, own_worker: Worker, connect: Connect, server: socketio.Server
) -> None:
    connected = [connect(f"eio-{number}") for number in range(20)]
    for member, _ in connected:
        for number in range(5):
            watch(relay, member, f"job-{number}")
        relay.watch(member, {"user:anna": ("user:anna",)}, ())
    own_worker.state("job-1", "STARTED", user="anna", current=1)
    own_worker.state("job-of-anna", "STARTED", user="anna", current=2)
    for _, reader in connected:
        wait_until(lambda reader=reader: reader.currents() == [1, 2])

    for member, _ in connected:
        relay.members.disconnect(member)
        server.manager.disconnect(member.sid, "/bridge")

    wait_until(lambda: not relay._room_of_channel)
    assert len(relay.members) == 0
    assert relay.members.rooms() == []
    assert len(relay._trails) == 0
    wait_until(lambda: own_worker.state("job-1", current=2).receivers == 0)
    assert server.manager.rooms == {}


def test_watching_again_within_the_linger_keeps_the_subscription(
    relay: Relay, own_worker: Worker, connect: Connect, job: str
) -> None:
    member, reader = connect()
    watch(relay, member, job)
    relay.unwatch(member, [f"job:{job}"])
    assert own_worker.state(job, "STARTED", current=1).receivers == 1

    watch(relay, member, job)
    own_worker.state(job, current=2)

    wait_until(lambda: reader.currents()[-1:] == [2])


def test_a_failed_watch_leaves_no_membership(
    relay: Relay, connect: Connect, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise QueueUnavailable("down")

    monkeypatch.setattr(RedisJournal, "read", fail)
    member, _ = connect()

    with pytest.raises(Unavailable):
        watch(relay, member, job)

    assert not member.watches
    assert relay.members.rooms() == []


def test_one_round_trip_reads_what_many_ask_for(
    relay: Relay, own_worker: Worker, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    own_worker.state(job, "STARTED")
    trips: list[int] = []
    read = RedisJournal.read

    def counting(self: RedisJournal, requests: Any) -> Any:
        trips.append(len(requests))
        return read(self, requests)

    monkeypatch.setattr(RedisJournal, "read", counting)
    with ThreadPoolExecutor(50) as pool:
        readings = list(pool.map(lambda _: relay.reader.read([(job, 0)]), range(200)))

    assert all(reading[0].snapshot["state"] == "STARTED" for reading in readings)
    assert set(trips) == {1}
    assert len(trips) < 200


def test_events_cut_by_the_size_of_a_reading_come_nevertheless(
    relay: Relay, own_worker: Worker, connect: Connect, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.journal.redis.EVENT_BYTES_A_READ", 2000)
    own_worker.state(job, "STARTED", current=0)
    for _ in range(60):
        own_worker.event(job, data="x" * 100)
    member, reader = connect(namespace="/")

    join(own_worker, member, job)

    wait_until(lambda: reader.currents() == [0])
    assert reader.seqs() == list(range(1, 61))


@pytest.mark.parametrize("how", ["unheard", "slow"])
def test_a_long_past_does_not_keep_the_newest_state_waiting(
    relay: Relay, own_worker: Worker, connect: Connect, job: str, monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:  # fmt: skip
    """Who can ask gets the newest state, and sees by its numbers that there is more to ask for."""
    monkeypatch.setattr("bridge.journal.redis.EVENT_BYTES_A_READ", 2000)
    own_worker.state(job, "STARTED", current=0)
    member, reader = connect("eio-member")
    guest, guests = connect("eio-guest", "/")
    watch(relay, member, job)
    join(own_worker, guest, job)
    wait_until(lambda: guests.currents() == [0])
    with monkeypatch.context() as deaf:
        if how == "unheard":
            deaf.setattr(relay, "_on_frame", lambda *_: None)
        else:
            deaf.setattr(fanout, "SLOW_PACKETS", 0)
        for _ in range(60):
            own_worker.event(job, data="x" * 100)
        own_worker.state(job, "SUCCESS", current=60)
        wait_until(lambda: how == "unheard" or bool(member.behind and guest.behind))
    if how == "unheard":
        relay._resync.make_up(job)

    wait_until(lambda: reader.currents() == [60])
    assert len(reader.seqs()) == 1
    assert reader.take()[-1][1]["last_seq"] == 60
    wait_until(lambda: guests.currents() == [0, 60])
    assert guests.seqs() == list(range(1, 61))
    assert len(reader.seqs()) == 1


def test_more_messages_than_can_wait_aside_are_read_again(
    relay: Relay, own_worker: Worker, connect: Connect, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message, "MAX_ASIDE", 5)
    own_worker.state(job, "STARTED", current=0)
    slow = RedisJournal.read

    def read_while_much_happens(self: RedisJournal, requests: Any) -> Any:
        readings = slow(self, requests)
        monkeypatch.setattr(RedisJournal, "read", slow)
        for number in range(1, 31):
            own_worker.event(job, data=number)
            own_worker.state(job, current=number)
        wait_until(lambda: bool(member.aside) and next(iter(member.aside.values())).overflowed)
        return readings

    monkeypatch.setattr(RedisJournal, "read", read_while_much_happens)
    member, reader = connect(namespace="/")
    join(own_worker, member, job)

    wait_until(lambda: reader.currents()[-1:] == [30])
    assert reader.seqs() == list(range(1, 31))


def join(worker: Worker, member: Member, job: str) -> None:
    text = json.dumps(
        {"method": "join", "sid": member.sid, "namespace": member.namespace, "job": job}
    )
    worker.redis.publish(relay_channel(worker.settings.channel), text)


def test_a_late_repeat_on_a_channel_is_dropped(
    relay: Relay, own_worker: Worker, connect: Connect, job: str, settings: Settings
) -> None:
    member, reader = connect()
    watch(relay, member, job)
    heard: list[bytes] = []
    original = relay._on_frame
    relay._on_frame = lambda room, data: (heard.append(data), original(room, data))[1]  # type: ignore[method-assign]
    own_worker.state(job, "STARTED", current=1)
    own_worker.state(job, current=2)
    wait_until(lambda: reader.currents() == [1, 2])

    for frame in list(heard):
        own_worker.redis.publish(room_channel(settings.channel, f"job:{job}"), frame)
    own_worker.state(job, current=3)

    wait_until(lambda: 3 in reader.currents())
    assert reader.currents() == [1, 2, 3]
    assert holds_for(lambda: len(reader.currents()) == 3, 0.1)


def test_what_comes_while_a_job_is_resynced_reaches_those_who_watch_its_user(
    relay: Relay, own_worker: Worker, connect: Connect, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The reading knows nothing of the job, so it can't tell whose it is; the messages' rooms do.
    member, reader = connect()
    both, _ = connect("eio-both")
    relay.watch(member, {"user:anna": ("user:anna",)}, ())
    relay.watch(both, {"user:anna": ("user:anna",)}, ())
    watch(relay, both, job)
    read = RedisJournal.read

    def read_before_it_begins(self: RedisJournal, requests: Any) -> Any:
        readings = read(self, requests)
        monkeypatch.setattr(RedisJournal, "read", read)
        own_worker.state(job, "STARTED", user="anna", current=1)
        own_worker.state(job, user="anna", current=2)
        trail = relay._trails.of(job)
        wait_until(lambda: trail.aside is not None and len(list(trail.aside.after(0))) == 4)
        return readings

    monkeypatch.setattr(RedisJournal, "read", read_before_it_begins)
    own_worker.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    wait_until(lambda: reader.currents() == [1, 2])
    other = relay._fanout._server.eio.sockets["eio-both"]
    assert other.currents() == [1, 2]


def test_the_journal_is_read_only_when_the_subscription_is_confirmed(
    relay: Relay, connect: Connect, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket, reads = Ticket(), []
    monkeypatch.setattr(relay._subscriber, "subscribe", lambda _: ticket)
    monkeypatch.setattr(relay.reader, "read", lambda requests: reads.append(requests) or [])
    monkeypatch.setattr(relay, "told", lambda *_: None)
    member, _ = connect()

    watching = threading.Thread(
        target=relay.watch, args=(member, {"job:a": ("job:a",)}, [("a", 0)])
    )
    watching.start()
    assert holds_for(lambda: not reads and watching.is_alive(), 0.2)
    ticket.confirm()

    wait_until(lambda: reads == [[("a", 0)]])
    watching.join()


def test_a_subscription_that_is_never_confirmed_is_unavailable(
    relay: Relay, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "CONFIRM_SECONDS", 0.1)
    monkeypatch.setattr(relay._subscriber, "subscribe", lambda _: Ticket())
    member, _ = connect()

    with pytest.raises(Unavailable):
        watch(relay, member, "job")

    assert not member.watches


def test_a_loss_while_the_first_watcher_is_answered_is_made_good(
    relay: Relay, own_worker: Worker, connect: Connect, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    member, reader = connect()
    own_worker.state(job, "STARTED", current=0)
    read, link = RedisJournal.read, RedisLine.open

    def refuse(*_: object) -> Any:
        raise OSError("away")

    def read_and_lose(self: RedisJournal, requests: Any) -> Any:
        readings = read(self, requests)
        monkeypatch.setattr(RedisJournal, "read", read)
        monkeypatch.setattr(RedisLine, "open", refuse)
        own_worker.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        wait_until(lambda: relay._subscriber._lost)
        own_worker.state(job, current=1)
        return readings

    monkeypatch.setattr(RedisJournal, "read", read_and_lose)
    assert watch(relay, member, job).snapshot["current"] == 0
    monkeypatch.setattr(RedisLine, "open", link)

    wait_until(lambda: reader.currents() == [1])


def test_what_was_on_its_way_when_the_past_was_read_comes_once(
    relay: Relay, own_worker: Worker, connect: Connect, job: str
) -> None:
    own_worker.state(job, "STARTED", current=0)
    member, reader = connect(namespace="/")
    held: list[tuple[str, bytes]] = []
    pass_on = relay._on_frame
    relay._on_frame = lambda room, data: held.append((room, data))  # type: ignore[method-assign]
    relay._subscribe(f"job:{job}").wait(5)
    for number in range(1, 4):
        own_worker.event(job, data=number)
        own_worker.state(job, current=number)
    wait_until(lambda: len(held) == 6)
    join(own_worker, member, job)
    wait_until(lambda: reader.currents() == [3])

    for room, data in held:
        pass_on(room, data)
    relay._on_frame = pass_on  # type: ignore[method-assign]
    own_worker.state(job, current=4)

    wait_until(lambda: 4 in reader.currents())
    assert reader.currents() == [3, 4]
    assert reader.seqs() == [1, 2, 3]
    assert not member.told
