"""What comes from the queue is not believed: the malformed is dropped, counted, not evaluated."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.rooms import job_room, relay_channel, room_channel, root_room, user_room
from tests.conftest import RedisServer, wait_until
from tests.nodes import Client
from tests.security.attacked import Attacked, attacked

fuzzing = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
LARGE = 2**20


@pytest.fixture(scope="module")
def victim(shared_redis: RedisServer) -> Iterator[Attacked]:
    with attacked(shared_redis) as made:
        yield made
        assert made.errors() == []


@pytest.fixture(scope="module")
def watcher(victim: Attacked) -> Iterator[Client]:
    """Watches a job, a root and a user whose channels get what nobody should send."""
    client = Client(victim.url)
    tokens = victim.worker.tokens
    for scope, subject in (("jobs", "job"), ("root", "root"), ("user", "user")):
        token = tokens.issue(**{scope: "target"})
        assert client.ask("watch", {subject: "target", "token": token})["ok"]
    yield client
    client.close()


def publish(victim: Attacked, room: str, *messages: bytes) -> None:
    channel = room_channel(victim.settings.channel, room)
    with victim.worker.redis.pipeline(transaction=False) as pipeline:
        for message in messages:
            pipeline.publish(channel, message)
        assert all(pipeline.execute()), "nobody listens"


def dropped(victim: Attacked) -> int:
    return victim.counters().get("queue.malformed", 0)


def frame(
    job: object = "target", run: object = 1, rev: object = 2**52, seq: object = 0,
    kind: object = "state", packet: bytes = b'2/bridge,["progress",{"job":"target"}]',
    length: object = None, version: object = "v1",
) -> bytes:  # fmt: skip
    """A frame as the journal's script makes them, with what is given instead."""
    size = len(packet) if length is None else length
    return f"{version} {job} {run} {rev} {seq} {kind} {size}\n".encode() + packet


MALFORMED = {
    "nothing": b"",
    "no line": b"v1 target 1 2 3 state 4",
    "another version": frame(version="v9"),
    "a line too short": b"v1 target 1\n[]",
    "a line too long": b"v1 target 1 2 3 state 4 5 6\n[]",
    "too short": frame(length=10_000),
    "too long": frame(length=1),
    "a length that is negative": frame(length=-1),
    "a length of letters": frame(length="ten"),
    "a length of 10^30": frame(length=10**30),
    "a rev that is none": frame(rev="new"),
    "a rev below zero": frame(rev=-1),
    "a rev beyond 2^53": frame(rev=2**70),
    "a rev of Arabic digits": frame(rev="١٢"),
    "a rev with an underscore": frame(rev="1_0"),
    "a seq that is none": frame(seq="1.5"),
    "a kind that is none": frame(kind="exec"),
    "a job with a slash": frame(job="../target"),
    "a job with a brace": frame(job="{target}"),
    "a job of 1 MB": frame(job="a" * LARGE),
    "another job": frame(job="another"),
    "another namespace": frame(packet=b'2/admin,["progress",{}]'),
    "the namespace and more": frame(packet=b'2/bridge/x,["progress",{}]'),
    "no namespace": frame(packet=b'2["progress",{}]'),
    "an ack": frame(packet=b"3/bridge,1[]"),
    "a disconnection": frame(packet=b"1/bridge,"),
    "a connection error": frame(packet=b'4/bridge,{"message":"x"}'),
    "something binary": frame(packet=b'51-/bridge,["progress",{"_placeholder":true,"num":0}]'),
    "no array": frame(packet=b'2/bridge,{"a":1}'),
    "an array that is open": frame(packet=b'2/bridge,["progress",{}'),
    "not UTF-8": frame(packet=b'2/bridge,["progress",{"a":"\xff\xfe\xc3\x28"}]'),
    "a line that is not UTF-8": frame().replace(b"target", b"t\xe4rget", 1),
    "over the limit": frame(packet=b'2/bridge,["progress","' + b"a" * LARGE + b'"]'),
    "a pickle": pickle.dumps({"method": "emit"}),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_frame_is_dropped_and_counted(
    victim: Attacked, watcher: Client, name: str
) -> None:
    before = dropped(victim)
    watcher.received.clear()
    publish(victim, job_room("target"), MALFORMED[name])
    victim.assert_serves()
    assert dropped(victim) == before + 1
    assert watcher.received == []


# What the relay looks at: the line, the packet's head and name. It parses no JSON.
CHECKED = frame().index(b'",')
mutated = st.builds(
    lambda whole, at, junk: whole[:at] + junk + whole[at + len(junk) :],
    st.just(frame()), st.integers(0, CHECKED - 4), st.binary(min_size=1, max_size=4),
)  # fmt: skip


@fuzzing
@given(batch=st.lists(st.binary(max_size=80) | mutated, max_size=30))
def test_any_bytes_on_any_room(victim: Attacked, watcher: Client, batch: list[bytes]) -> None:
    for room in (job_room("target"), root_room("target"), user_room("target")):
        publish(victim, room, *batch, b"\x80")
    victim.assert_serves()
    assert watcher.sio.connected


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
joins = st.fixed_dictionaries(
    {"method": st.just("join") | anything},
    optional={"sid": anything, "namespace": anything, "job": anything, "room": anything},
)
emits = st.fixed_dictionaries(
    {
        "method": st.sampled_from(
            ["emit", "callback", "disconnect", "enter_room", "leave_room", "close_room", "exec"]
        )
    },
    optional=dict.fromkeys(
        ("event", "data", "namespace", "room", "skip_sid", "callback", "host_id", "sid", "id",
         "args", "binary", "ignore_queue"),
        anything,
    ),
)  # fmt: skip


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


@fuzzing
@given(batch=st.lists((joins | anything).map(as_json) | st.binary(max_size=40), max_size=30))
def test_anything_on_the_relay_channel(victim: Attacked, batch: list[bytes]) -> None:
    before = dropped(victim)
    for message in (*batch, b"[" * 100_000, b'{"method":"join"}'):
        victim.worker.redis.publish(relay_channel(victim.settings.channel), message)
    victim.assert_serves()
    assert dropped(victim) >= before + 2


@fuzzing
@given(batch=st.lists((emits | anything).map(as_json) | st.binary(max_size=40), max_size=30))
def test_anything_on_the_base_channel(victim: Attacked, batch: list[bytes]) -> None:
    for message in (*batch, pickle.dumps({"method": "emit", "event": "a", "data": 1})):
        victim.worker.redis.publish(victim.settings.channel, message)
    victim.assert_serves()


JUNK = [
    b"", b"\x80\x04", b"[" * 100_000, b"{}", b"null", b"5", b'{"method":5}', b'{"method":"exec"}',
    b'{"method":"emit"}', b'{"method":"emit","event":5,"data":1}',
    b'{"method":"emit","event":"a","data":1,"room":{}}',
    b'{"method":"emit","event":"a","data":1,"room":[{}]}',
    b'{"method":"emit","event":"a","data":[],"binary":true}',
    b'{"method":"disconnect","sid":{}}', b'{"method":"enter_room","sid":"a","namespace":[]}',
]  # fmt: skip


def greet(victim: Attacked, watcher: Client, word: str) -> None:
    """Emit as a stock process does; when it is heard, so is all that was sent before."""
    message = {
        "method": "emit", "event": "greeting", "data": word, "namespace": "/bridge",
        "room": watcher.sid, "skip_sid": None, "callback": None, "host_id": "somebody",
    }  # fmt: skip
    victim.worker.redis.publish(victim.settings.channel, json.dumps(message))
    wait_until(lambda: ("greeting", word) in watcher.received, what="the greeting")


def test_the_base_channel_is_heard_after_all_that(victim: Attacked, watcher: Client) -> None:
    greet(victim, watcher, "hello")  # junk of other tests may be on its way still
    before = victim.counters().get("queue.base", 0)
    for junk in JUNK:
        victim.worker.redis.publish(victim.settings.channel, junk)
    greet(victim, watcher, "still there")
    assert victim.counters()["queue.base"] == before + len(JUNK)
    assert not [line for line in victim.node.log if "Traceback" in line]


def test_a_pickle_is_never_loaded(victim: Attacked, tmp_path: Path) -> None:
    """CVE-2025-61765: python-socketio before 5.14 ran whatever a pickle on the queue said."""
    proof = tmp_path / "proof"

    class Exploit:
        def __reduce__(self) -> Any:
            return (open, (str(proof), "w"))

    bomb = pickle.dumps(Exploit())
    pickle.loads(bomb).close()
    assert proof.exists(), "the bomb works"
    proof.unlink()
    channel = victim.settings.channel
    for name in (channel, relay_channel(channel), room_channel(channel, job_room(victim.job))):
        assert victim.worker.redis.publish(name, bomb)
    victim.assert_serves()
    assert not proof.exists()
