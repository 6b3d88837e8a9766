"""Messages made of what the journal holds."""

from __future__ import annotations

import json
from typing import Any

from bridge.records import Reading
from bridge.relay.message import Message, messages_of


def event(rev: int, seq: int) -> dict[str, Any]:
    return {"name": "row", "job": "j", "rev": rev, "run": 1, "seq": seq, "at": 1.0, "data": None}


def told(message: Message) -> tuple[int, str, int]:
    payload = json.loads(message.packet("/").encode().removeprefix("42"))[1]
    return message.rev, message.kind, payload.get("last_seq", message.seq)


def test_they_come_in_the_order_of_their_revs_and_a_state_knows_no_event_after_it() -> None:
    def told_of(state_rev: int) -> list[tuple[int, str, int]]:
        state = {"rev": state_rev, "run": 1, "last_seq": 3}
        events = [event(10, 1), event(20, 2), event(30, 3)]
        return [told(m) for m in messages_of("j", Reading(state, events, False, 3))]

    events = [(10, "event", 1), (20, "event", 2), (30, "event", 3)]
    assert told_of(5) == [(5, "state", 0), *events]
    assert told_of(25) == [*events[:2], (25, "state", 2), events[2]]
    assert told_of(35) == [*events, (35, "state", 3)]
