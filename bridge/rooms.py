"""Ids become rooms, channels and keys here, and nowhere else.

A job's keys and channels carry its id in a hash tag (``{id}``), so that they would share a slot of
a Redis Cluster.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from bridge.errors import InvalidId

_JOB_ID = re.compile(r"[A-Za-z0-9_.:@=+-]{1,200}")
#: Half a surrogate pair can't be sent to Redis.
_USER_ID = re.compile(r"[^\s{}\x00-\x1f\x7f\ud800-\udfff]{1,200}")

#: What lists every job of a channel, as a user's room lists the user's. Nobody can watch it.
ALL_JOBS: Final = "all:jobs"
#: Of AMQP, in bytes.
MAX_ROUTING_KEY: Final = 255


def check_job_id(job: object) -> str:
    """Return a job (or root) id that is safe in a key, a channel and a label.

    Raises:
        InvalidId: it is not 1 to 200 letters, digits or any of ``_ . : @ = + -``.
    """
    if isinstance(job, str) and _JOB_ID.fullmatch(job):
        return job
    raise InvalidId(
        f"{_short(job)} can't be a job id: 1 to 200 letters, digits or any of _ . : @ = + - "
        "are needed"
    )


def check_user_id(user: object) -> str:
    """Return a user's id as text; whole numbers are turned into text.

    Raises:
        InvalidId: it is empty, longer than 200, or has white space, braces or control characters.
    """
    text = str(user) if isinstance(user, int) and not isinstance(user, bool) else user
    if isinstance(text, str) and _USER_ID.fullmatch(text):
        return text
    raise InvalidId(
        f"{_short(user)} can't be a user id: 1 to 200 characters, no spaces or braces, are needed"
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def job_room(job: str) -> str:
    """The room of a job's watchers."""
    return f"job:{job}"


def root_room(root: str) -> str:
    """The room of a workflow's watchers."""
    return f"root:{root}"


def user_room(user: str) -> str:
    """The room of those who watch all jobs of a user."""
    return f"user:{user}"


def split_room(room: str) -> tuple[str, str] | None:
    """Return (kind, id) of one of our rooms, None for any other room."""
    kind, _, ident = room.partition(":")
    return (kind, ident) if kind in ("job", "root", "user") and ident else None


def room_channel(channel: str, room: str) -> str:
    """The pub/sub channel of one of our rooms: ``<channel>/job:{<id>}``."""
    kind, _, ident = room.partition(":")
    return f"{channel}/{kind}:{{{ident}}}"


def routing_key(channel: str) -> str:
    """The name of a channel in RabbitMQ, which takes 255 bytes: of a longer one its hash."""
    name = channel.encode("utf-8", "surrogatepass")
    if len(name) <= MAX_ROUTING_KEY:
        return channel
    return f"sha256:{hashlib.sha256(name).hexdigest()}"


def relay_channel(channel: str) -> str:
    """The channel on which all relays hear who joins a job by ``submit(sid=...)``."""
    return f"{channel}/relay"


def echo_channel(channel: str, node: str) -> str:
    """The channel on which one node hears itself, to know that it hears anything."""
    return f"{channel}/echo:{node}"


def state_key(channel: str, job: str) -> str:
    """The journal's hash of a job."""
    return f"{channel}:{{{job}}}:state"


def events_key(channel: str, job: str) -> str:
    """The journal's stream of a job's events."""
    return f"{channel}:{{{job}}}:events"


def lease_key(channel: str, lease: str) -> str:
    """The key that stands as long as a worker process lives."""
    return f"{channel}:lease:{lease}"


def running_key(channel: str) -> str:
    """The sorted set of the jobs that run somewhere, by when their run began."""
    return f"{channel}:running"


def versions_key(channel: str) -> str:
    """The hash of the versions that use a channel, each with when it last said so."""
    return f"{channel}:versions"


def index_key(channel: str, room: str) -> str:
    """The journal's sorted set of the jobs of a root or a user, or of `ALL_JOBS`, by first rev."""
    kind, _, ident = room.partition(":")
    return f"{channel}:{{{ident}}}:{kind}"
