"""Hooks into a python-socketio server: the gate sees each connection and message before it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bridge.errors import TooMany
from bridge.relay.answers import refusal
from bridge.relay.frames import guarded
from bridge.relay.gate import Gate
from bridge.relay.polling import guard_posts

#: Where a request's WSGI environment keeps the refusals that decide its status.
REFUSALS: Final = "bridge.refusals"


def hook(server: Any, gate: Callable[[], Gate], *, whole: bool) -> None:
    """Put the gate before a server's handlers, whatever namespaces its clients use.

    Args:
        server: the python-socketio server.
        gate: gives this process's gate, starting it the first time.
        whole: whether the server is the bridge's own.
    """
    eio = server.eio
    connect, message, disconnect = (eio.handlers[k] for k in ("connect", "message", "disconnect"))

    def on_connect(eio_sid: str, environ: dict[str, Any]) -> Any:
        try:
            gate().connect(eio_sid, environ)
        except TooMany as error:
            environ.get(REFUSALS, []).append(error)
            return refusal(error)
        return connect(eio_sid, environ)

    def on_message(eio_sid: str, data: Any) -> None:
        gate().message(eio_sid, data, message)

    def on_disconnect(eio_sid: str, reason: str) -> Any:
        try:
            return disconnect(eio_sid, reason)
        finally:
            gate().leave(eio_sid)

    eio.on("connect", on_connect)
    eio.on("message", on_message)
    eio.on("disconnect", on_disconnect)
    if whole:
        # A copy: the table belongs to all servers of the async mode.
        eio._async = {**eio._async, "websocket": guarded(eio._async["websocket"], gate)}
        guard_posts(eio, gate)
