"""Clients that join a job because somebody called `submit(sid=...)`, in whatever process.

The message comes from the queue, so nothing in it is trusted. Every node hears it; the one that has
the client in that namespace acts.
"""

from __future__ import annotations

import json
from typing import Any, Final

from bridge.relay.members import Member, Members
from bridge.relay.message import Malformed
from bridge.rooms import check_job_id

_MAX_BYTES: Final = 2048
_MAX_NAME_CHARS: Final = 200


class Joining:
    """Finds the client that a join message is about.

    Args:
        server: the python-socketio server that holds the clients.
        members: where the client becomes a member.
    """

    def __init__(self, server: Any, members: Members) -> None:
        self._server = server
        self._members = members

    def join(self, data: bytes) -> tuple[Member, str] | None:
        """Return the member and the job, None if the client isn't on this node.

        Raises:
            Malformed: the message is.
        """
        try:
            sid, namespace, job = _parse(data)
        except ValueError as error:
            raise Malformed("join", str(error)) from None
        manager = self._server.manager
        member = self._members.find(namespace, sid)
        if not is_here(manager, sid, namespace):
            if member is not None:
                self._members.disconnect(member)
            return None
        if member is None:
            eio_sid = manager.eio_sid_from_sid(sid, namespace)
            member = self._members.connect(namespace, sid, eio_sid)
        return member, job


def is_here(manager: Any, sid: str, namespace: str) -> bool:
    """Whether a client manager has this client, if only in its connect handler still."""
    return bool(manager.is_connected(sid, namespace) or manager.is_pre_connected(sid, namespace))


def _parse(data: bytes) -> tuple[str, str, str]:
    if len(data) > _MAX_BYTES:
        raise ValueError(f"a join message of {len(data)} bytes")
    try:
        message: Any = json.loads(data)
    except RecursionError:
        raise ValueError("a join message nested too deeply") from None
    if not isinstance(message, dict) or message.get("method") != "join":
        raise ValueError("not a join message")
    sid, namespace = message.get("sid"), message.get("namespace") or "/"
    return _name(sid), _name(namespace), check_job_id(message.get("job"))


def _name(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME_CHARS:
        raise ValueError("a join message without a proper sid and namespace")
    return value
