"""The index of rooms: after whatever sequence of calls all is as python-socketio has it."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from socketio import PubSubManager, Server

from bridge.message_queue.rabbitmq.base_channel import RabbitManager
from bridge.message_queue.roster import Roster
from bridge.message_queue.stock import StockManager

NAMESPACES = ("/", "/other")
#: The last are the ids that the first clients have, whose rooms nobody else may enter.
ROOMS = ("job:a", 7, None, "client-0", "client-1")
#: Clients that are there from the beginning, as calls for one that isn't do little.
FIRST = [("connect", number, namespace) for number in range(2) for namespace in NAMESPACES]
CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("pre_connect"), st.integers(0, 4), st.sampled_from(NAMESPACES)),
        st.tuples(st.just("connect"), st.integers(0, 5), st.sampled_from(NAMESPACES)),
        st.tuples(
            st.sampled_from(("enter", "leave")),
            st.integers(0, 5),
            st.sampled_from(NAMESPACES),
            st.sampled_from(ROOMS),
        ),
        st.tuples(st.just("close_room"), st.sampled_from(ROOMS[:2]), st.sampled_from(NAMESPACES)),
        st.tuples(st.just("close_room"), st.just("client-0"), st.sampled_from(NAMESPACES)),
        st.tuples(st.just("ask"), st.integers(0, 5), st.just("/")),
        st.tuples(
            st.sampled_from(("pre_disconnect", "disconnect")),
            st.integers(0, 5),
            st.sampled_from(NAMESPACES),
        ),
    ),
    max_size=40,
)


def manager_with_ids(kind: type[PubSubManager]) -> Any:
    manager = kind(write_only=True)
    ids = itertools.count()
    server = Server(client_manager=manager, async_mode="threading")
    server.eio.generate_id = lambda: f"client-{next(ids)}"
    return manager


def call(manager: Any, name: str, *given: Any) -> Any:
    """Do one thing, and return what it returned or raised."""
    calls = {
        "pre_connect": lambda n, namespace: manager.pre_connect(f"connection-{n}", namespace),
        "connect": lambda n, namespace: manager.connect(f"client-{n}", namespace),
        "enter": lambda n, namespace, room: manager.basic_enter_room(
            f"client-{n}", namespace, room
        ),
        "leave": lambda n, namespace, room: manager.basic_leave_room(
            f"client-{n}", namespace, room
        ),
        "close_room": manager.basic_close_room,
        "ask": lambda n, _: manager._generate_ack_id(f"client-{n}", print),
        "pre_disconnect": lambda n, namespace: manager.pre_disconnect(f"client-{n}", namespace),
        "disconnect": lambda n, namespace: manager.basic_disconnect(f"client-{n}", namespace),
    }
    try:
        return calls[name](*given)
    except Exception as error:  # noqa: BLE001 - whatever stock raises, ours must
        return type(error)


def state(manager: Any) -> Any:
    everybody = [
        (sid, name) for name, rooms in manager.rooms.items() for sid in rooms.get(None, ())
    ]
    return (
        {
            name: {room: dict(inside) for room, inside in rooms.items()}
            for name, rooms in manager.rooms.items()
        },
        {each: sorted(map(str, manager.get_rooms(*each))) for each in everybody},
        manager.pending_connect,
        manager.pending_disconnect,
        list(manager.callbacks),
    )


@settings(max_examples=300, deadline=None)
@given(CALLS)
def test_the_rooms_are_as_those_of_a_stock_manager(calls: list[tuple[Any, ...]]) -> None:
    stock, ours = manager_with_ids(PubSubManager), manager_with_ids(Roster)
    for each in [*FIRST, *calls]:
        assert call(ours, *each) == call(stock, *each), each
        assert state(ours) == state(stock), each


def test_clients_that_have_gone_leave_nothing_behind() -> None:
    ours = manager_with_ids(Roster)
    for number in range(50):
        sid = ours.connect(f"connection-{number}", "/")
        ours.basic_enter_room(sid, "/", f"job:{number % 7}")
        ours.basic_enter_room(sid, "/", f"job:own-{number}")
    ours.basic_close_room("job:3", "/")
    for number in range(50):
        ours.basic_disconnect(f"client-{number}", "/")
    assert ours.rooms == ours._entered == {}


def test_a_client_that_leaves_costs_its_own_rooms_and_no_others() -> None:
    ours = manager_with_ids(Roster)
    for number in range(20):
        ours.basic_enter_room(ours.connect(f"connection-{number}", "/"), "/", f"job:{number}")
    left: list[Any] = []
    leave = ours.basic_leave_room
    ours.basic_leave_room = lambda sid, namespace, room: (
        left.append(room),
        leave(sid, namespace, room),
    )
    ours.rooms["/"] = _Unscanned(ours.rooms["/"])
    ours.basic_disconnect("client-4", "/")
    assert left == [None, "client-4", "job:4"]


class _Unscanned(dict[Any, Any]):
    def _refuse(self) -> Any:
        raise AssertionError("all rooms are looked through")

    copy = items = keys = values = __iter__ = _refuse  # type: ignore[assignment]


def test_the_bridges_own_servers_have_it() -> None:
    assert issubclass(StockManager, Roster)
    assert issubclass(RabbitManager, Roster)
