"""The bridge's Socket.IO namespace: watch, unwatch and cancel, each with an ack."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from flask_socketio import Namespace

from bridge.errors import BadRequest, Refused, TooMany
from bridge.relay.answers import Answer, Answers, refusal
from bridge.relay.fanout import unread_chars
from bridge.relay.members import Member
from bridge.relay.relay import Relay
from bridge.relay.requests import Cancel, Unwatch, request_of

#: A client that has so much yet to read gets no further answers.
MAX_UNREAD_CHARS: Final = 4 * 1024 * 1024

_log = logging.getLogger(__name__)


class BridgeNamespace(Namespace):  # type: ignore[misc]  # Flask-SocketIO has no types
    """Handles what clients send to the bridge's namespace.

    Args:
        namespace: its name, e.g. ``/bridge``.
        serving: gives this process's relay and answers, starting them the first time.
        enter: called with the Engine.IO id of each client that enters; may refuse it.
    """

    def __init__(
        self,
        namespace: str,
        serving: Callable[[], tuple[Relay, Answers]],
        enter: Callable[[str], None],
    ) -> None:
        super().__init__(namespace)
        self._serving = serving
        self._enter = enter

    def trigger_event(self, event: Any, *args: Any) -> Any:
        """Handle an event of a client; whatever it holds, the connection lives on.

        The first argument is the client's sid. Handlers need no Flask context, so none is made.
        """
        relay, answers = self._serving()
        sid, *arguments = args
        manager = self.server.manager
        member = relay.members.find(self.namespace, sid)
        # Clients may send events of these two names, too; then there is a member, and it stays.
        if event == "connect" and member is None:
            eio_sid = manager.eio_sid_from_sid(sid, self.namespace)
            self._enter(eio_sid)
            relay.members.connect(self.namespace, sid, eio_sid)
            return None
        if event == "disconnect" and not manager.is_connected(sid, self.namespace):
            if member is not None:
                relay.members.disconnect(member)
            return None
        try:
            if member is None:
                raise BadRequest("this client has disconnected")
            with member.turns:
                self._check_unread(relay, member)
                return self._answer(relay, answers, member, event, tuple(arguments))
        except BadRequest as error:
            relay.counters.add(f"refused.{error.code}")
            return refusal(error)
        except Refused as error:
            return refusal(error)
        except Exception:  # noqa: BLE001 - a fault of ours must not cost the client its connection
            _log.exception("the event %r could not be handled", event)
            return {"ok": False, "error": "unavailable", "message": "the node failed: ask again"}

    def _check_unread(self, relay: Relay, member: Member) -> None:
        """Refuse more answers to a client that doesn't take those that it got."""
        if unread_chars(self.server, member.eio_sid) > MAX_UNREAD_CHARS:
            relay.counters.add("limit.unread")
            raise TooMany("answers to earlier messages wait to be read: read them first")

    @staticmethod
    def _answer(
        relay: Relay, answers: Answers, member: Member, event: object, arguments: tuple[Any, ...]
    ) -> Answer:
        request = request_of(event, arguments)
        if isinstance(request, Unwatch):
            relay.unwatch(member, request.rooms)
            return {"ok": True}
        if isinstance(request, Cancel):
            return answers.cancel_by(member, request)
        return answers.watch(member, request)
