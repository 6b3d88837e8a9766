"""The member table: both ways bounded and cleaned."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.relay.members import Member, Members


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def closed() -> list[str]:
    return []


@pytest.fixture
def members(clock: Clock, closed: list[str]) -> Members:
    return Members(closed.append, linger_seconds=5, clock=clock)


def connect(members: Members, sid: str) -> Member:
    return members.connect("/bridge", sid, f"eio-{sid}")


def test_enter_and_leave(members: Members) -> None:
    anna, ben = connect(members, "anna"), connect(members, "ben")

    assert members.enter(anna, "job:1", ["job:1"])
    assert members.enter(ben, "job:1", ["job:1"])
    assert members.of("job:1") == (anna, ben)
    members.leave(anna, "job:1")

    assert members.of("job:1") == (ben,)
    assert members.rooms() == ["job:1"]


def test_a_room_of_two_watches_is_left_with_the_second(members: Members) -> None:
    anna = connect(members, "anna")
    members.enter(anna, "job:1", ["job:1"])
    members.enter(anna, "root:1", ["root:1", "job:1"])

    members.leave(anna, "root:1")
    assert members.of("job:1") == (anna,)
    assert members.of("root:1") == ()
    members.leave(anna, "job:1")

    assert members.of("job:1") == ()
    assert not anna.rooms


def test_entering_twice_counts_once(members: Members) -> None:
    anna = connect(members, "anna")
    members.enter(anna, "job:1", ["job:1"])
    members.enter(anna, "job:1", ["job:1"])
    members.leave(anna, "job:1")

    assert members.rooms() == []


def test_an_empty_room_lingers(members: Members, clock: Clock, closed: list[str]) -> None:
    anna = connect(members, "anna")
    members.enter(anna, "job:1", ["job:1"])
    members.leave(anna, "job:1")

    clock.now = 4
    members.close_empty()
    assert closed == []
    members.enter(anna, "job:1", ["job:1"])
    clock.now = 100
    members.close_empty()
    assert closed == []
    members.leave(anna, "job:1")
    clock.now = 106
    members.close_empty()
    assert closed == ["job:1"]


def test_who_is_gone_does_not_enter(members: Members) -> None:
    anna = connect(members, "anna")
    members.disconnect(anna)

    assert not members.enter(anna, "job:1", ["job:1"])
    assert members.rooms() == []
    assert members.find("/bridge", "anna") is None


def test_members_of_a_connection_and_outside_a_namespace(members: Members) -> None:
    here = members.connect("/bridge", "a", "eio")
    there = members.connect("/", "b", "eio")

    assert set(members.of_connection("eio")) == {here, there}
    assert members.outside("/bridge") == [there]
    members.disconnect(there)
    assert members.of_connection("eio") == [here]


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "leave", "gone"]),
        st.integers(0, 3),
        st.sampled_from(["job:1", "job:2", "root:1", "user:1"]),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_the_index_agrees_both_ways_and_nothing_is_left_behind(actions: Any) -> None:
    closed: list[str] = []
    clock = Clock()
    members = Members(closed.append, linger_seconds=1, clock=clock)
    for action, number, watch in actions:
        member = connect(members, str(number))
        rooms = [watch, "job:1"] if watch == "root:1" else [watch]
        if action == "enter":
            members.enter(member, watch, rooms)
        elif action == "leave":
            members.leave(member, watch)
        else:
            members.disconnect(member)
        for room in members.rooms():
            assert all(room in each.rooms for each in members.of(room))
        known = [connect(members, str(n)) for n in range(4)]
        wide = [r for each in known for r in each.rooms if not r.startswith("job:")]
        assert members.overlap == bool(wide)

    for number in range(4):
        members.disconnect(connect(members, str(number)))
    clock.now = 10
    members.close_empty()

    assert members.rooms() == []
    assert len(members) == 0
    assert len(closed) == len(set(closed))
    assert not any(vars(members)[name] for name in ("_rooms", "_empty_since", "_by_connection"))
