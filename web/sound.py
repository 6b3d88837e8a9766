"""Records as pages can rely on them: what a worker wrote may be anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.errors import InvalidId
from bridge.records import RANK
from bridge.rooms import check_job_id
from web.figures import MOST

TEXTS = (
    "task", "message", "unit", "stage", "worker", "queue", "user",
)  # fmt: skip
NUMBERS = (
    "current", "total", "rate", "eta", "queued_at", "started_at", "updated_at", "ended_at",
    "next_at", "lost_at",
)  # fmt: skip
#: Year 9999: what comes after it is no time that can be shown.
LATEST = 253_402_300_799


def sound(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state record in which every key is there and of its type, or None."""
    error = record.get("error")
    return {
        "job": str(record.get("job")),
        "state": _state(record.get("state"), "PENDING"),
        **{key: _whole(record.get(key)) for key in ("rev", "run", "last_seq", "epoch", "attempt")},
        **{key: _text(record.get(key)) for key in TEXTS},
        **{key: _ident(record.get(key)) for key in ("root", "parent")},
        **{key: _number(record.get(key), time=key.endswith("_at")) for key in NUMBERS},
        "runs": [_run(each) for each in _objects(record.get("runs"))],
        "stages": [_stage(each) for each in _objects(record.get("stages"))],
        "error": _error(error) if isinstance(error, dict) else None,
        "result": record.get("result"),
        "meta": record.get("meta") if isinstance(record.get("meta"), dict) else {},
        "redeliverable": record.get("redeliverable") is True,
    }


def sendable(text: str) -> str:
    """Return text that a page can hold: half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def _run(run: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "run": _whole(run.get("run")),
        "attempt": _whole(run.get("attempt")),
        "started_at": _number(run.get("started_at"), time=True),
        "ended_at": _number(run.get("ended_at"), time=True),
        "state": _state(run.get("state"), "STARTED"),
    }


def _stage(stage: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": _text(stage.get("name")) or "",
        "current": _number(stage.get("current")),
        "total": _number(stage.get("total")),
        "weight": max(0.0, _number(stage.get("weight")) or 0.0),
        "state": _state(stage.get("state"), "PROGRESS"),
    }


def _error(error: Mapping[str, Any]) -> dict[str, str]:
    return {key: _text(error.get(key)) or "" for key in ("type", "message")}


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _state(value: object, otherwise: str) -> str:
    return value if isinstance(value, str) and value in RANK else otherwise


def _text(value: object) -> str | None:
    return sendable(value) if isinstance(value, str) else None


def _ident(value: object) -> str | None:
    try:
        return check_job_id(value)
    except InvalidId:
        return None


def _whole(value: object) -> int:
    number = _number(value)
    return 0 if number is None else int(number)


def _number(value: Any, *, time: bool = False) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    # Not a number is within no bounds.
    if not good or not -MOST < value < MOST:
        return None
    return None if time and not 0 < value <= LATEST else value
