"""What clients ask for, checked: nothing that comes from the network is trusted.

Every function raises `BadRequest` with a message that names what is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.errors import BadRequest, InvalidId
from bridge.rooms import check_job_id, check_user_id, job_room, root_room, user_room
from bridge.tokens import MAX_TOKEN_CHARS

MAX_SEQ: Final = 2**53
#: A "since" that asks for no events at all.
NO_EVENTS: Final = -1
MAX_JOBS: Final = 1000
DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 500
_MAX_CURSOR_CHARS: Final = 17
_SUBJECTS: Final = ("job", "jobs", "root", "user")


@dataclass(frozen=True, slots=True)
class WatchJobs:
    """Watch some jobs.

    Attributes:
        since: each job's id with the seq after which events are wanted, or `NO_EVENTS`.
        single: whether it was asked for as one job, which is answered differently.
    """

    since: dict[str, int]
    single: bool
    token: str | None


@dataclass(frozen=True, slots=True)
class WatchRoom:
    """Watch all jobs of a root or of a user.

    Attributes:
        kind: ``root`` or ``user``.
    """

    kind: str
    ident: str
    limit: int
    cursor: str | None
    token: str | None

    @property
    def room(self) -> str:
        """The room of the root's or the user's watchers."""
        return root_room(self.ident) if self.kind == "root" else user_room(self.ident)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask a job to stop.

    Attributes:
        terminate: end the process that executes it, too.
    """

    job: str
    token: str | None
    terminate: bool = False


@dataclass(frozen=True, slots=True)
class Unwatch:
    """End watches.

    Attributes:
        rooms: their names.
    """

    rooms: tuple[str, ...]


#: What a client can ask for.
Request = WatchJobs | WatchRoom | Unwatch | Cancel


def request_of(
    event: object, arguments: tuple[Any, ...]
) -> WatchJobs | WatchRoom | Unwatch | Cancel:
    """Check an event of a client.

    Args:
        event: its name.
        arguments: what came with it.

    Raises:
        BadRequest: nothing of that name is known, or its arguments are not what they should be.
    """
    if event == "watch":
        return watch_request(arguments)
    if event == "unwatch":
        return unwatch_request(arguments)
    if event == "cancel":
        return cancel_request(arguments)
    raise BadRequest("this event is not known here, only watch, unwatch and cancel")


def watch_request(arguments: tuple[Any, ...]) -> WatchJobs | WatchRoom:
    """Check the arguments of ``watch``."""
    subject, data = _subject(arguments, "token", "since", "events", "limit", "cursor")
    token = _token(data)
    if subject in ("root", "user"):
        _only(data, subject, "token", "limit", "cursor")
        return WatchRoom(
            subject, _ident(subject, data[subject]), _limit(data), _cursor(data), token
        )
    _only(data, subject, "token", "since", "events")
    jobs = _jobs(data["jobs"]) if subject == "jobs" else [_job(data["job"])]
    if not _wants_events(data):
        return WatchJobs(dict.fromkeys(jobs, NO_EVENTS), subject == "job", token)
    if subject == "job":
        return WatchJobs({jobs[0]: seq_number(data.get("since"))}, True, token)
    return WatchJobs(_since_each(data.get("since"), jobs), False, token)


def unwatch_request(arguments: tuple[Any, ...]) -> Unwatch:
    """Check the arguments of ``unwatch``."""
    subject, data = _subject(arguments)
    if subject == "jobs":
        return Unwatch(tuple(job_room(job) for job in _jobs(data["jobs"])))
    ident = _ident(subject, data[subject])
    return Unwatch(({"job": job_room, "root": root_room, "user": user_room}[subject](ident),))


def cancel_request(arguments: tuple[Any, ...]) -> Cancel:
    """Check the arguments of ``cancel``."""
    data = _one_object(arguments)
    _only(data, "job", "token", "terminate")
    if "job" not in data:
        raise BadRequest("job is missing")
    terminate = data.get("terminate", False)
    if not isinstance(terminate, bool):
        raise BadRequest(f"terminate is {_shown(terminate)}: true or false is needed")
    return Cancel(_job(data["job"]), _token(data), terminate)


def seq_number(value: object) -> int:
    """Check a ``since``: an event's seq; None means from the beginning."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEQ:
        raise BadRequest(f"since is {_shown(value)}: a whole number from 0 to 2^53 is needed")
    return value


def _subject(arguments: tuple[Any, ...], *others: str) -> tuple[str, Mapping[str, Any]]:
    data = _one_object(arguments)
    subjects = [name for name in _SUBJECTS if name in data]
    if len(subjects) != 1:
        raise BadRequest(f"exactly one of {', '.join(_SUBJECTS)} is needed")
    _only(data, subjects[0], *others)
    return subjects[0], data


def _one_object(arguments: tuple[Any, ...]) -> Mapping[str, Any]:
    if len(arguments) != 1 or not isinstance(arguments[0], dict):
        raise BadRequest('one argument is needed, an object such as {"job": "..."}')
    return arguments[0]


def _only(data: Mapping[str, Any], *known: str) -> None:
    unknown = [key for key in data if key not in known]
    if unknown:
        raise BadRequest(f"{_shown(unknown[0])} is not known here, only {', '.join(known)}")


def _job(value: object) -> str:
    return _ident("job", value)


def _ident(subject: str, value: object) -> str:
    try:
        if subject != "user":
            return check_job_id(value)
        if not isinstance(value, str):
            raise BadRequest(f"user is {_shown(value)}: a text is needed")
        return check_user_id(value)
    except InvalidId as error:
        raise BadRequest(str(error)) from None


def _jobs(value: object) -> list[str]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_JOBS:
        raise BadRequest(f"jobs is {_shown(value)}: a list of 1 to {MAX_JOBS} job ids is needed")
    return list(dict.fromkeys(_job(job) for job in value))


def _since_each(value: object, jobs: Collection[str]) -> dict[str, int]:
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise BadRequest('since must be an object here, such as {"<job>": 7}')
    if any(job not in jobs for job in value):
        raise BadRequest("since names a job that is not in jobs")
    return {job: seq_number(value.get(job)) for job in jobs}


def _wants_events(data: Mapping[str, Any]) -> bool:
    wanted = data.get("events", True)
    if not isinstance(wanted, bool):
        raise BadRequest("events must be true or false")
    if not wanted and data.get("since") is not None:
        raise BadRequest("since says which events are wanted, and events: false that none are")
    return wanted


def _token(data: Mapping[str, Any]) -> str | None:
    token = data.get("token")
    if token is not None and not isinstance(token, str):
        raise BadRequest("token must be a text")
    if token is not None and len(token) > MAX_TOKEN_CHARS:
        raise BadRequest(f"token is longer than {MAX_TOKEN_CHARS} characters")
    return token


def _limit(data: Mapping[str, Any]) -> int:
    limit = data.get("limit")
    if limit is None:
        return DEFAULT_LIMIT
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        raise BadRequest(
            f"limit is {_shown(limit)}: a whole number from 1 to {MAX_LIMIT} is needed"
        )
    return limit


def _cursor(data: Mapping[str, Any]) -> str | None:
    cursor = data.get("cursor")
    if cursor is None:
        return None
    plain = isinstance(cursor, str) and cursor.isascii() and cursor.isdigit()
    if not plain or len(cursor) > _MAX_CURSOR_CHARS:
        raise BadRequest("cursor is not one that an answer of this node gave")
    return str(cursor)


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    text = repr(value[:40]) if isinstance(value, str) else repr(value)
    return text if len(text) <= 50 else text[:47] + "..."
