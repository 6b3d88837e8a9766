"""Serving: runs an application with its bridge on the server that fits the async mode.

The listening socket is opened here and not by `SocketIO.run`, so that a port in use is told
plainly, port 0 is known before it is announced, thousands of clients fit (eventlet's server stops
at 1024 by default), and a storm of reconnections finds a backlog.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import importlib
import logging
import os
import signal
import socket
from types import FrameType
from typing import Any, Final

from flask import Flask

from bridge.errors import SettingsError
from bridge.relay import patching
from bridge.relay.extension import Bridge

BACKLOG: Final = 2048
MAX_CONNECTIONS: Final = 100_000
#: After how many new objects the collector looks at the young, the middling and the old ones.
GC_THRESHOLD: Final = (10_000, 20, 50)
#: What a connection buffers of its requests, and of its answers' heads.
HTTP_BUFFER_BYTES: Final = 1024
#: What still runs so long after a signal is cut off.
STOP_SECONDS: Final = 2.0

_log = logging.getLogger(__name__)
#: What the servers say about single connections; of interest to nobody by default.
_quiet = logging.getLogger(f"{__name__}.connections")


def serve(app: Flask, bridge: Bridge, host: str | None = None, port: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT; the process then ends within `STOP_SECONDS`, come what may.

    Args:
        app: the application; bridge: its bridge.
        host: the address to listen on; default: the setting.
        port: the port; 0 finds a free one; default: the setting.

    Raises:
        PatchingError: the process is not monkey-patched as the async mode needs.
        SettingsError: the address can't be listened on.
    """
    patching.check(bridge.async_mode)
    listener = _listen(
        bridge.settings.host if host is None else host,
        bridge.settings.port if port is None else port,
    )
    bridge.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    _quiet.setLevel(logging.CRITICAL)
    # What was loaded until now stays for ever: the collector need not look at it again, and with
    # thousands of clients it must not look at all of them for each few that come.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)
    _log.info("listening on %s", _url(listener))
    try:
        _run(app, bridge, listener)
    except SystemExit as stop:
        if stop.code:
            raise
    finally:
        bridge.stop()
        listener.close()


def _run(app: Flask, bridge: Bridge, listener: socket.socket) -> None:
    runners = {
        patching.EVENTLET: _run_eventlet,
        patching.GEVENT: _run_gevent,
        patching.THREADING: _run_threading,
    }
    if bridge.async_mode not in runners:
        raise SettingsError(
            "BRIDGE_ASYNC_MODE", bridge.async_mode, "this mode is served by its own server only"
        )
    runners[bridge.async_mode](app, listener, bridge.settings.quiet_seconds)


def _run_eventlet(app: Flask, listener: socket.socket, quiet_seconds: float) -> None:
    from eventlet import Timeout, wsgi

    class Protocol(wsgi.HttpProtocol):  # type: ignore[misc]  # eventlet has no types
        """Waits only so long for a request's head, however it trickles in."""

        # A WebSocket keeps these as long as it lives and never uses them.
        rbufsize = wbufsize = HTTP_BUFFER_BYTES

        def _read_request_line(self) -> Any:
            line: Any = b""
            with Timeout(quiet_seconds, False):
                line = super()._read_request_line()
            return line

        def parse_request(self) -> Any:
            parsed: Any = False
            with Timeout(quiet_seconds, False):
                parsed = super().parse_request()
            if not parsed:
                self.close_connection = True
            return parsed

    wsgi.server(
        listener, app, log=_quiet, log_output=False, max_size=MAX_CONNECTIONS, protocol=Protocol,
        socket_timeout=quiet_seconds,
    )  # fmt: skip


def _run_gevent(app: Flask, listener: socket.socket, quiet_seconds: float) -> None:
    gevent = importlib.import_module("gevent")
    pywsgi: Any = importlib.import_module("gevent.pywsgi")

    class Handler(pywsgi.WSGIHandler):  # type: ignore[misc]  # gevent is imported by its name
        """Waits only so long for a request's head, however it trickles in, and for its body."""

        def __init__(self, sock: Any, *arguments: Any) -> None:
            super().__init__(sock, *arguments)
            self.rfile = sock.makefile("rb", HTTP_BUFFER_BYTES)

        def handle(self) -> None:
            with contextlib.suppress(OSError):  # the client may have gone before its answer
                super().handle()

        def read_requestline(self) -> Any:
            with gevent.Timeout(quiet_seconds, TimeoutError):
                return super().read_requestline()

        def read_request(self, raw_requestline: Any) -> Any:
            with gevent.Timeout(quiet_seconds, TimeoutError):
                return super().read_request(raw_requestline)

        def handle_one_response(self) -> None:
            self.socket.settimeout(_patience(self.command, self.headers, quiet_seconds))
            super().handle_one_response()

    server = pywsgi.WSGIServer(listener, app, log=None, error_log=_quiet, handler_class=Handler)
    server.stop_timeout = STOP_SECONDS / 2
    for number in (signal.SIGTERM, signal.SIGINT):
        # In a greenlet of its own: the event loop can't be stopped from within a signal.
        gevent.signal_handler(number, _stop_gevent, number, server)
    server.serve_forever()


def _stop_gevent(number: int, server: Any) -> None:
    _prepare_stop(number)
    server.stop()


def _run_threading(app: Flask, listener: socket.socket, quiet_seconds: float) -> None:
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        """Waits only so long, and keeps quiet about what comes after the end of a WebSocket."""

        timeout = quiet_seconds

        def run_wsgi(self) -> None:
            self.connection.settimeout(_patience(self.command, self.headers, quiet_seconds))
            super().run_wsgi()

        def log_error(self, format: str, *args: Any) -> None:
            _quiet.error(format, *args)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Requests are not logged."""

    host, port = listener.getsockname()[:2]
    make_server(
        host, port, app, threaded=True, request_handler=Handler, fd=listener.fileno()
    ).serve_forever()


def _patience(method: str, headers: Any, seconds: float) -> float | None:
    """How long a client may be silent once its request's head has come: a WebSocket's may."""
    return None if method == "GET" and headers.get("Upgrade") else seconds


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        return listener
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                "BRIDGE_PORT", port, f"the port is in use on {host}: choose another, or 0 for any"
            ) from None
        if error.errno == errno.EACCES:
            raise SettingsError(
                "BRIDGE_PORT", port, "this user may not use it: choose one from 1024 on"
            ) from None
        raise SettingsError("BRIDGE_HOST", host, f"can't listen there: {error}") from None


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _stop(number: int, _frame: FrameType | None) -> None:
    _prepare_stop(number)
    raise SystemExit(0)


def _prepare_stop(number: int) -> None:
    # Neither a connection that doesn't end nor a thread after it may keep the node alive. What runs
    # at exit comes after both; still later the alarm would find no handler, and end us badly.
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS)
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    _log.info("stopping on %s", signal.Signals(number).name)
