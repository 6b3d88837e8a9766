"""What crosses: states, the state record, events, and the publications that carry them.

Pure: no I/O, no clocks. The names are the wire contract.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from bridge.errors import PayloadError, PayloadTooLarge, ReservedName

PENDING: Final = "PENDING"
STARTED: Final = "STARTED"
PROGRESS: Final = "PROGRESS"
RETRY: Final = "RETRY"
SUCCESS: Final = "SUCCESS"
FAILURE: Final = "FAILURE"
REVOKED: Final = "REVOKED"
LOST: Final = "LOST"

FINAL: Final = frozenset({SUCCESS, FAILURE, REVOKED})
#: Within one run a state may only be followed by one of the same or a higher rank.
RANK: Final[Mapping[str, int]] = {
    PENDING: 0, STARTED: 1, PROGRESS: 1, LOST: 1, RETRY: 2, SUCCESS: 3, FAILURE: 3, REVOKED: 3,
}  # fmt: skip

RESERVED_NAMES: Final = frozenset({
    "progress", "connect", "disconnect", "connect_error", "error", "message", "watch", "unwatch",
    "cancel", "success", "failure", "retry", "revoked", "lost",
    # Socket.IO clients in JavaScript take a packet with one of these for an attack and hang up.
    "disconnecting", "newListener", "removeListener",
})  # fmt: skip
RESERVED_PREFIX: Final = "bridge:"
LOG_EVENT: Final = "log"

MAX_MESSAGE_CHARS: Final = 500
MAX_ERROR_CHARS: Final = 2000
MAX_NAME_CHARS: Final = 100
#: How deeply a payload may be nested: beyond some hundreds, clients and nodes give up.
MAX_DEPTH: Final = 64


class StageRecord(TypedDict):
    """One stage as it stands in a state record."""

    name: str
    current: float
    total: float | None
    weight: float
    state: str


class RunRecord(TypedDict):
    """One execution of a job as it stands in a state record."""

    run: int
    attempt: int
    started_at: float | None
    ended_at: float | None
    state: str


class ErrorRecord(TypedDict):
    """Why a job failed or is tried again: never a traceback."""

    type: str
    message: str


class StateRecord(TypedDict):
    """The whole state of a job: what the Socket.IO event ``progress`` carries.

    Times are Unix seconds, ``rate`` is units a second, ``eta`` seconds.
    """

    job: str
    task: str | None
    rev: int
    run: int
    attempt: int
    last_seq: int
    epoch: int
    state: str
    message: str | None
    current: float | None
    total: float | None
    unit: str | None
    rate: float | None
    eta: float | None
    stage: str | None
    stages: list[StageRecord]
    queued_at: float | None
    started_at: float | None
    updated_at: float | None
    ended_at: float | None
    next_at: float | None
    lost_at: float | None
    worker: str | None
    queue: str | None
    runs: list[RunRecord]
    root: str | None
    parent: str | None
    user: str | None
    result: Any
    error: ErrorRecord | None
    redeliverable: bool
    meta: dict[str, Any]


#: Strings as a whole, so that brackets inside them don't count, and brackets.
_NESTING: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')

#: The keys that the journal adds; everything else comes from the sender.
JOURNAL_KEYS: Final = ("rev", "run", "last_seq", "epoch", "runs")


def blank_record(job: str, task: str | None) -> dict[str, Any]:
    """Return a record with every key that the sender fills, as before anything is known."""
    return {
        "job": job, "task": task, "attempt": 0, "state": PENDING, "message": None,
        "current": None, "total": None, "unit": None, "rate": None, "eta": None,
        "stage": None, "stages": [],
        "queued_at": None, "started_at": None, "updated_at": None, "ended_at": None,
        "next_at": None, "lost_at": None, "worker": None, "queue": None,
        "root": None, "parent": None, "user": None,
        "result": None, "error": None, "redeliverable": False, "meta": {},
    }  # fmt: skip


def encode(value: Any, *, what: str, limit: int) -> str:
    """Return a value as compact JSON.

    Args:
        value: anything that JSON can hold; NaN and infinity can't be.
        what: what it is, for the error message.
        limit: the size allowed, in bytes.

    Raises:
        PayloadError: it is not JSON, or nested too deeply; the message names the reason.
        PayloadTooLarge: it is larger than `limit`.
    """
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
    except UnicodeEncodeError:
        # Half a surrogate pair, as os.fsdecode makes of file names: only the escaped form holds it.
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        size = len(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadError(
            f"{what} can't be sent as JSON ({error}): use text, finite numbers, true/false, None, "
            "lists and dicts of these"
        ) from None
    if size > limit:
        raise PayloadTooLarge(what, size, limit)
    if is_too_deep(text):
        raise PayloadError(f"{what} is nested more than {MAX_DEPTH} deep: send a flatter one")
    return text


def is_too_deep(text: str) -> bool:
    """Whether JSON text is nested more than `MAX_DEPTH` deep; says so without parsing it."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for mark in _NESTING.finditer(text):
        sign = mark[0]
        if sign in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif sign in "]}":
            depth -= 1
    return False


def check_event_name(name: object, *, ours: bool = False) -> str:
    """Return an event's name if it may be used.

    Args:
        name: what the caller gave.
        ours: True for the bridge's own ``log`` events.

    Raises:
        ReservedName: it is empty, too long, not text, or reserved by the wire contract.
    """
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARS or not _is_text(name):
        raise ReservedName(f"{name!r} can't be an event's name: 1 to 100 characters are needed")
    if (
        name in RESERVED_NAMES
        or name.startswith(RESERVED_PREFIX)
        or (name == LOG_EVENT and not ours)
    ):
        raise ReservedName(
            f"{name!r} is reserved: choose another name than {', '.join(sorted(RESERVED_NAMES))}, "
            f"{LOG_EVENT} (that is progress.log()) or one that starts with {RESERVED_PREFIX!r}"
        )
    return name


def _is_text(name: str) -> bool:
    try:
        return b"\0" not in name.encode()
    except UnicodeEncodeError:
        return False


def shorten(text: str, limit: int) -> str:
    """Return text of at most `limit` characters, an ellipsis at the end where it was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass(slots=True)
class Publication:
    """One state or event on its way to the journal: all but the numbers that the journal gives.

    Attributes:
        job: the job's id.
        kind: ``state`` or ``event``.
        body: the JSON object's text without its opening brace and without `JOURNAL_KEYS`.
        name: the Socket.IO event's name (``progress`` for a state).
        state: a state's name, empty for an event.
        run_id: a nonce of the execution that speaks; empty: whichever run is current.
        run: the number that the journal gave that execution; 0: not known yet.
        start: whether this opens a run, if the journal doesn't know `run_id`.
        attempt: Celery's ``retries``.
        run_entry: this run's part of ``runs``, as JSON text without its opening brace.
        root: the workflow's root, where it differs from the job; else empty.
        user: whose job it is; else empty.
        floor: the rev must be above it.
        nonce: names the sending process.
        n: rises with each publication of that process; a repeat has the same.
        skipped: how many events before this one were dropped for want of room.
        expect: publish only if the job's last state has this rev (compare-and-set); None: always.
        lease: names the lease of the process that executes the run.
        verdict: this is a sweep's word, LOST or FAILURE, about a worker that died: it is published
            only where the run has not ended and its `lease` still stands at `beat`, and any sign of
            life undoes it.
        beat: where the sweep saw the lease stand.
        seq_floor: the seq that was told together with `floor`; if the journal went back behind one
            of them, the seq must be above it.
        ended: the run that speaks has ended, whatever this says of it.
        redelivered: whether the broker had delivered the job before.
        again: it was told before, and the journal may have lost it: its rev stays close to `floor`,
            so that it is not newer than what others told since.
    """

    job: str
    kind: str
    body: str
    name: str = "progress"
    state: str = ""
    run_id: str = ""
    run: int = 0
    start: bool = False
    attempt: int = 0
    run_entry: str = ""
    root: str = ""
    user: str = ""
    floor: int = 0
    nonce: str = ""
    n: int = 0
    skipped: int = 0
    expect: int | None = None
    lease: str = ""
    verdict: bool = False
    beat: str = ""
    seq_floor: int = 0
    ended: bool = False
    redelivered: bool = False
    again: bool = False


def state_publication(
    record: Mapping[str, Any],
    *,
    run_id: str = "",
    start: bool = False,
    entry: Mapping[str, Any] | None = None,
    expect: int | None = None,
) -> Publication:
    """Encode a state record; its parts were checked for size when they were set.

    Args:
        record: all keys but `JOURNAL_KEYS`.
        run_id: as in `Publication`; start: likewise; expect: likewise.
        entry: this run's part of ``runs``, without its number.
    """
    return Publication(
        job=record["job"],
        kind="state",
        body=tail(record),
        state=record["state"],
        run_id=run_id,
        start=start,
        attempt=record["attempt"],
        run_entry=tail(entry) if entry else "",
        root=root_apart(record["root"], record["job"]),
        user=record["user"] or "",
        expect=expect,
    )


def amended(
    snapshot: Mapping[str, Any], run_id: str, amend: Callable[[dict[str, Any]], bool]
) -> Publication | None:
    """Change what the journal knows of a job, if nobody else does so first.

    Args:
        snapshot: the record as it was read, or a blank one where there was none.
        run_id: whose state it was read to be.
        amend: changes the record in place; returns False if there is nothing to change.
    """
    record = {key: value for key, value in snapshot.items() if key not in JOURNAL_KEYS}
    runs = snapshot.get("runs") or []
    if not amend(record):
        return None
    entry: dict[str, Any] = {}
    if runs:
        entry = {**runs[-1], "ended_at": record["ended_at"], "state": record["state"]}
        del entry["run"]
    expect = int(snapshot.get("rev", 0))
    return state_publication(record, run_id=run_id, entry=entry, expect=expect)


def root_apart(root: str | None, job: str) -> str:
    """Return a workflow's root where it differs from the job, else an empty text."""
    return root if root and root != job else ""


def tail(fields: Mapping[str, Any]) -> str:
    """Return fields as JSON text without its opening brace, to be put after others."""
    return _compact(fields)[1:]


def beginning(fields: Mapping[str, Any]) -> str:
    """Return fields as JSON text without its braces, for a `tail` to be put after them."""
    return _compact(fields)[1:-1] + ","


_compact: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


OK: Final = "ok"
REPEATED: Final = "dup"
STALE: Final = "stale"
AGAIN: Final = "again"
BROKEN: Final = "broken"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The journal's answer to a publication.

    Attributes:
        status: ``ok``; ``dup`` (a repeat: stored before); ``stale`` (an older run, or out of
            order); ``again`` (the server refused it and stored nothing: publish it later, with a
            new n); ``broken`` (the journal can't take it: dropped).
        rev: the job's rev afterwards.
        seq: the event's seq, or the last one for a state.
        run: the current run.
        receivers: how many nodes heard it.
        cancel: whether somebody asked to cancel the job.
        reason: why, where the status is ``again`` or ``broken``.
    """

    status: str
    rev: int = 0
    seq: int = 0
    run: int = 0
    receivers: int = 0
    cancel: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the journal knows of a job.

    Attributes:
        snapshot: the newest state record, or None.
        events: events after the asked seq, in order, oldest first; perhaps not all (the snapshot's
            ``last_seq`` tells), the client then asks again.
        gap: events after the asked seq are no longer retained.
        last_seq: the job's last seq.
        run_id: the nonce of its current run; empty if it has not run.
    """

    snapshot: dict[str, Any] | None
    events: list[dict[str, Any]]
    gap: bool
    last_seq: int
    run_id: str = ""
