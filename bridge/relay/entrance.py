"""The entrance of an application with a bridge: what must be said before Engine.IO is reached."""

from __future__ import annotations

from typing import Any

from bridge.errors import Refused
from bridge.relay.hooks import REFUSALS


def entrance(wsgi_app: Any) -> Any:
    """Wrap an application in what Engine.IO leaves open.

    permessage-deflate is not negotiated, as it would compress each message for each client anew; a
    connection that the gate refuses gets the status of its refusal; and streams are not held back.
    (Flask-SocketIO hands on a copy of the environment, so only here can that be said.)
    """

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        refusals: list[Refused] = []
        environ[REFUSALS] = refusals
        if environ.get("PATH_INFO", "").endswith("/events"):
            environ["eventlet.minimum_write_chunk_size"] = 1  # its server would wait for 4096 bytes

        def start(status: str, *arguments: Any) -> Any:
            if refusals:
                status = f"{refusals[0].status} {refusals[0].code.upper()}"
            return start_response(status, *arguments)

        return wsgi_app(environ, start)

    return application
