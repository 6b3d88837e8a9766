"""Which rooms of python-socketio a client is in: an index in the place of a scan of every room.

Its own managers know only who is in a room. When a client leaves, and when its rooms are asked for,
they look through all rooms of the namespace: 1 ms a client that leaves, where 5,000 have one each.
"""

from __future__ import annotations

from typing import Any

from socketio import PubSubManager


class Roster(PubSubManager):  # type: ignore[misc]  # python-socketio has no types
    """A client manager to which a client that leaves costs what its own rooms do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: By namespace and client; a dict for its order, which is that of entering.
        self._entered: dict[tuple[str, str], dict[Any, None]] = {}

    def basic_enter_room(
        self, sid: str, namespace: str, room: Any, eio_sid: str | None = None
    ) -> None:
        """Put a client into a room."""
        super().basic_enter_room(sid, namespace, room, eio_sid)
        self._entered.setdefault((namespace, sid), {})[room] = None

    def basic_leave_room(self, sid: str, namespace: str, room: Any) -> None:
        """Take a client out of a room; closing a room does this with each that is in it."""
        super().basic_leave_room(sid, namespace, room)
        rooms = self._entered.get((namespace, sid))
        if rooms is not None:
            rooms.pop(room, None)
            if not rooms:
                self._entered.pop((namespace, sid), None)

    def basic_disconnect(self, sid: str, namespace: str, **kwargs: Any) -> None:
        """Forget a client."""
        if namespace not in self.rooms:
            return
        for room in list(self._entered.get((namespace, sid), ())):
            self.basic_leave_room(sid, namespace, room)
        self.callbacks.pop(sid, None)
        for pending in (self.pending_connect, self.pending_disconnect):
            if sid in pending.get(namespace, ()):
                pending[namespace].remove(sid)
                if not pending[namespace]:
                    del pending[namespace]

    def get_rooms(self, sid: str, namespace: str) -> list[Any]:
        """Return the rooms that a client is in."""
        return [room for room in self._entered.get((namespace, sid), ()) if room is not None]
