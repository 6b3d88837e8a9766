"""What clients post that poll: Engine.IO has no good answer where it is nonsense.

To a packet of an unknown kind it closes the connection and waits, with the request, for somebody to
fetch what was queued, which nobody will; and it logs a traceback for what it can't decode.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from bridge.relay.gate import Gate

#: What Engine.IO logs with a traceback for whatever a client posts.
_UNDECODABLE: Final = "post request handler error"
#: How it logs packets, where that is switched on: the last argument is what a client sent or gets.
_WITH_DATA: Final = "data %s"


def guard_posts(eio: Any, gate: Callable[[], Gate]) -> None:
    """Let an Engine.IO server hang up without waiting, and count instead of log.

    Args:
        eio: the Engine.IO server; the bridge's own.
        gate: gives this process's gate.
    """
    stock = eio.disconnect

    def disconnect(eio_sid: str | None = None) -> None:
        connection = None if eio_sid is None else eio.sockets.get(eio_sid)
        if connection is None:
            stock(eio_sid)
            return
        connection.close(wait=False, reason=eio.reason.SERVER_DISCONNECT)
        eio.sockets.pop(eio_sid, None)

    eio.disconnect = disconnect
    eio.logger = _Log(eio.logger, gate)


class _Log(logging.LoggerAdapter[logging.Logger]):
    """Engine.IO's logger, but for what clients could fill it with, and for tokens in messages."""

    def __init__(self, logger: logging.Logger, gate: Callable[[], Gate]) -> None:
        super().__init__(logger, {})
        self._gate = gate

    def info(self, msg: object, *args: Any, **kwargs: Any) -> None:
        """Log that a packet came or went, without what is in it."""
        if args and str(msg).endswith(_WITH_DATA):
            args = (*args[:-1], "***")
        super().info(msg, *args, **kwargs)

    def exception(self, msg: object, *args: Any, **kwargs: Any) -> None:
        """Log an exception, unless it is about what a client posted: that is counted."""
        if msg == _UNDECODABLE:
            self._gate().malformed("malformed.post")
        else:
            super().exception(msg, *args, **kwargs)
