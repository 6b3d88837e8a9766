"""Whatever a client sends in the bridge's namespace gets a refusal, and nobody else feels it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websocket import WebSocketException

from tests.conftest import RedisServer, wait_until
from tests.nodes import Client
from tests.security.attacked import UNLIMITED, Attacked, attacked, raw_websocket

#: Not `unavailable`: nothing that a client sends makes the journal or the node fail.
CODES = {"forbidden", "expired", "bad_request", "too_many", "unknown_job", "finished"}
BATCH = 40

#: Names that try to get out of their room, key or channel.
TRICKS = [
    "", " ", "a b", "job:", "job:a", "root:a", "user:a", "*", "?", "[a-z]", "a*", "{a}", "}{",
    "a}:state", "../a", "a/b", "a\nb", "a\r\nPUBLISH b c", "a\0b", "\0", "a" * 201, "ü", "١٢",
    "a\u202eb", "\ud800", "relay", "echo:a", "a:state", "a:events", "%2e%2e", "__proto__",
    "constructor", "null", "true",
]  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from(TRICKS)
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
)
keys = st.sampled_from(
    ["job", "jobs", "root", "user", "token", "since", "limit", "cursor", "terminate", "__proto__"]
) | st.text(max_size=5)
nearly_right = st.dictionaries(keys, anything, max_size=4)
events = st.sampled_from(["watch", "unwatch", "cancel"]) | st.sampled_from(
    ["progress", "connect", "disconnect", "message", "log", "bridge:expired", "", "*"]
)
messages = st.tuples(events, st.lists(nearly_right | anything, max_size=3).map(tuple))


@pytest.fixture(scope="module", params=["false", "true"], ids=["by-token", "public"])
def victim(request: pytest.FixtureRequest, shared_redis: RedisServer) -> Iterator[Attacked]:
    """Where everything is public, what is asked for gets further: to the queue and the journal."""
    unlimited = {"BRIDGE_MESSAGES_RATE": UNLIMITED, "BRIDGE_MAX_WATCHES": UNLIMITED}
    with attacked(shared_redis, BRIDGE_PUBLIC=request.param, **unlimited) as made:
        yield made
        assert made.errors() == []


@pytest.fixture(scope="module")
def attacker(victim: Attacked) -> Iterator[Client]:
    client = Client(victim.url)
    yield client
    client.close()


fuzzing = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@fuzzing
@given(batch=st.lists(messages, min_size=1, max_size=BATCH))
def test_any_message_is_answered_and_the_connection_lives_on(
    victim: Attacked, attacker: Client, batch: list[tuple[str, tuple[Any, ...]]]
) -> None:
    before = victim.counters()
    refused = 0
    for event, arguments in batch:
        ack = attacker.ask(event, *arguments)
        assert set(ack) >= {"ok"}, (event, arguments, ack)
        if not ack["ok"]:
            assert ack["error"] in CODES, (event, arguments, ack)
            refused += 1
    assert attacker.sio.connected
    victim.assert_serves()
    after = victim.counters()
    assert sum(after.values()) >= sum(before.values()) + refused


@pytest.mark.parametrize("event", ["watch", "unwatch", "cancel"])
def test_a_name_is_a_name_and_nothing_else(victim: Attacked, attacker: Client, event: str) -> None:
    for name in (*TRICKS, attacker.sid, f"job:{victim.job}", f"{victim.job}*", "a" * 2**17):
        for subject in ("job", "root", "user"):
            ack = attacker.ask(event, {subject: name})
            assert ack["ok"] or ack["error"] in CODES, (subject, name, ack)
            assert len(str(ack)) < 1000, "what was sent does not come back whole"
    victim.assert_serves()


def test_a_room_of_another_client_or_of_another_kind_is_not_entered(victim: Attacked) -> None:
    """The sid of another client is a Socket.IO room, and `job:<id>` is one of ours."""
    spy, target = Client(victim.url), Client(victim.url)
    before = len(spy.received)
    for name in (target.sid, f"job:{victim.job}", f"job:{{{victim.job}}}", f"{victim.job}}}:state"):
        for subject in ("job", "root", "user"):
            spy.ask("watch", {subject: name})
    victim.assert_serves()
    server_says = {
        "method": "emit", "event": "private", "data": 1, "namespace": "/bridge",
        "room": target.sid, "skip_sid": None, "callback": None, "host_id": "somebody",
    }  # fmt: skip
    victim.worker.redis.publish(victim.settings.channel, json.dumps(server_says))
    wait_until(lambda: ("private", 1) in target.received, what="the message for the other client")
    victim.assert_serves()
    assert len(spy.received) == before
    spy.close()
    target.close()


def test_an_id_of_a_megabyte_costs_its_sender_only(victim: Attacked) -> None:
    """It is over MAX_MESSAGE, so the server need not answer; it may hang up."""
    with raw_websocket(victim) as link, contextlib.suppress(OSError, WebSocketException):
        link.send('42/bridge,1["watch",{"job":"' + "a" * 2**20 + '"}]')
        link.settimeout(1)
        answer = str(link.recv())  # empty: it hung up
        assert not answer or '"ok":false' in answer
    victim.assert_serves()
