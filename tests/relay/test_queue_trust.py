"""Who may write to the queue may forge progress, but breaks nothing: the malformed is counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import socketio
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from bridge.frames import Frame
from bridge.relay.message import Malformed, Message
from bridge.relay.relay import Relay
from bridge.rooms import relay_channel, room_channel
from bridge.settings import Settings

JOB = "a-job"


def frame(
    packet: bytes | None = None, *, job: str = JOB, rev: object = 9, kind: str = "state",
    length: int | None = None, payload: Any = None, name: str = "progress",
) -> bytes:  # fmt: skip
    if packet is None:
        payload = {"job": job, "rev": rev, "run": 1} if payload is None else payload
        packet = b"2/bridge," + json.dumps([name, payload]).encode()
    length = len(packet) if length is None else length
    return f"v1 {job} 1 {rev} 0 {kind} {length}\n".encode() + packet


class Deaf:
    """A relay that hears what the test says, with nobody to tell it to."""

    def __init__(self, settings: Settings) -> None:
        self.relay = Relay(settings, socketio.Server(async_mode="threading", namespaces="*"))
        self.channel = room_channel(settings.channel, f"job:{JOB}")
        self.joins = relay_channel(settings.channel)
        self.relay._room_of_channel[self.channel] = f"job:{JOB}"

    def hear(self, data: bytes, channel: str = "") -> dict[str, int]:
        before = self.relay.counters.as_dict()
        self.relay._on_message(channel or self.channel, data)
        after = self.relay.counters.as_dict()
        return {name: n - before.get(name, 0) for name, n in after.items() if n != before.get(name)}

    @property
    def rev(self) -> int:
        return self.relay._trails.of(JOB).rev


@pytest.fixture
def deaf(settings: Settings) -> Iterator[Deaf]:
    deaf = Deaf(settings)
    yield deaf
    deaf.relay._subscriber._wake_reader.close()
    deaf.relay._subscriber._wake_writer.close()
    deaf.relay._journal.close()


def test_what_is_well_formed_passes(deaf: Deaf) -> None:
    assert deaf.hear(frame()) == {}
    assert deaf.rev == 9
    event = {"job": JOB, "rev": 10, "run": 1, "seq": 1, "at": 1.0, "data": None}
    assert deaf.hear(frame(rev=10, kind="event", name="log", payload=event)) == {}
    assert deaf.rev == 10


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("frame", b""),
        ("frame", b"nonsense"),
        ("frame", b"\xff" * 100),
        ("frame", b"v1 " + b"x" * 1000),
        ("frame", b"v2" + frame()[2:]),
        ("frame", frame(length=5)),
        ("frame", frame(length=10**8)),
        ("frame", frame(job="a job")),
        ("frame", frame(job="a" * 201)),
        ("frame", frame(job="*")),
        ("frame", frame(kind="delete")),
        ("frame", frame(rev=10**16)),
        ("frame", frame(rev=-1)),
        ("size", frame(b"2/bridge," + b" " * 1_000_000)),
        ("other_job", frame(job="another-job")),
        ("utf8", frame(b'2/bridge,["progress",{"a":"\xff"}]')),
        ("utf8", frame(b'2/bridge,["progress",{"a":"\xed\xa0\x80"}]')),
        ("packet", frame(b'2/other,["progress",{}]')),
        ("packet", frame(b'2["progress",{}]')),
        ("packet", frame(b'1/bridge,["progress",{}]')),
        ("packet", frame(b'2/bridge,7["progress",{}]')),
        ("packet", frame(b'42/bridge,["progress",{}]')),
        ("packet", frame(b'2/bridge,["progress"]')),
        ("packet", frame(b'2/bridge,["progress",[]]')),
        ("packet", frame(b"2/bridge,[7,{}]")),
        ("packet", frame(b'2/bridge,["progress",{]')),
        ("packet", frame(b'2/bridge,["progress",{}]x')),
        ("packet", frame(b'2/bridge,["progress",' + b"[" * 50_000)),
        ("name", frame(name="row")),
        ("name", frame(kind="event", name="progress")),
        ("name", frame(kind="event", name="bridge:expired")),
        ("name", frame(kind="event", name="disconnect")),
        ("packet", frame(kind="event", name="")),
        ("name", frame(b'2/bridge,["\\u0070rogress",{}]', kind="event")),
        ("name", frame(b'2/bridge,["\\x",{}]', kind="event")),
    ],
)
def test_each_kind_of_malformed_frame_is_dropped_and_counted(
    deaf: Deaf, reason: str, data: bytes
) -> None:
    assert deaf.hear(data) == {f"queue.{reason}": 1, "queue.malformed": 1}
    assert deaf.rev == 0


@pytest.mark.parametrize(
    "data",
    [
        b"", b"7", b"[]", b"[" * 2000, b"x" * 10_000, b"\xff", b'{"method":"join"}',
        b'{"method":"emit","sid":"a","job":"b"}', b'{"method":"join","sid":[],"job":"b"}',
        b'{"method":"join","sid":"a","job":"*"}', b'{"method":"join","sid":"","job":"b"}',
        b'{"method":"join","sid":"a","namespace":7,"job":"b"}',
        b'{"method":"join","sid":"' + b"a" * 201 + b'","job":"b"}',
    ],
)  # fmt: skip
def test_a_malformed_join_is_dropped_and_counted(deaf: Deaf, data: bytes) -> None:
    assert deaf.hear(data, deaf.joins) == {"queue.join": 1, "queue.malformed": 1}


@pytest.mark.parametrize("name", ["row", "a row", "gr\u00f6\u00dfer", 'a "quoted" \\ name', "log"])
def test_any_name_of_an_event_passes(deaf: Deaf, name: str) -> None:
    assert deaf.hear(frame(kind="event", name=name)) == {}


def test_no_json_is_parsed(deaf: Deaf, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("JSON is parsed")

    told = frame(), frame(rev=10, kind="event", name="row")
    monkeypatch.setattr(json, "loads", refuse)
    for data in told:
        assert deaf.hear(data) == {}


@limits(deadline=None)
@given(st.binary(max_size=200))
def test_whatever_else_comes_as_a_packet_is_malformed(packet: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        Message.from_frame(Frame(JOB, 1, 9, 0, "state", packet), "/bridge")
    assert caught.value.reason in ("utf8", "packet", "name")
