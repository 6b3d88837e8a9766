"""What a journal keeps of a job is JSON text in parts; here it becomes what is read."""

from __future__ import annotations

import json
from typing import Any, Final, cast

from bridge.records import is_too_deep

#: An answer to one request carries at most about this many bytes of events; the client asks on.
EVENT_BYTES_A_READ: Final = 1_048_576


def numbers_text(
    rev: int | str, run: int | str, seq: int | str, epoch: int | str, runs: str
) -> str:
    """Return the part of a state record that the journal adds: the text before its tail."""
    return f'{{"rev":{rev},"run":{run},"last_seq":{seq},"epoch":{epoch},"runs":[{runs}],'


def snapshot_of(numbers: str, tail: str) -> dict[str, Any]:
    """Return a state record, from `numbers_text` and the rest of its text."""
    return cast("dict[str, Any]", json.loads(numbers + tail))


def event_of(name: str, payload: str) -> dict[str, Any]:
    """Decode an event; it must not be nested so deeply that nobody can send it on."""
    if not is_too_deep(payload):
        return {"name": name, **json.loads(payload)}
    numbers = json.loads(payload[: payload.index(',"at":')] + "}")
    return {"name": name, **numbers, "at": None, "data": {"bridge:omitted": "too deep"}}
