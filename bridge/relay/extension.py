"""The Flask extension: puts the relay into an application.

`init_app` starts and checks nothing that needs a network, a thread or a patch: Celery workers,
shells, reloaders and preloading parents build the application, too. The relay starts once in each
process that serves, at the boot of `bridge.relay.serving.serve`, else at the first request.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from flask import Flask
from flask_socketio import SocketIO

from bridge.errors import SettingsError
from bridge.message_queue.stock import StockManager
from bridge.relay import patching
from bridge.relay.answers import Answers
from bridge.relay.http import make_blueprint
from bridge.relay.namespace import BridgeNamespace
from bridge.relay.origins import AllowedOrigins
from bridge.relay.permission import Permission
from bridge.relay.relay import Relay
from bridge.settings import Settings
from bridge.tokens import WATCH, Tokens

EXTENSION: Final = "celery-bridge"
#: The largest message that a client may send to a server that the bridge made, in bytes.
MAX_MESSAGE_BYTES: Final = 262_144
_MIN_KEY_CHARS: Final = 16

_log = logging.getLogger(__name__)


class Bridge:
    """The relay in a Flask app.

    An application that has a `SocketIO` already keeps it: the bridge adds its namespace to that
    server. Otherwise the bridge makes one (`bridge.socketio`), on the base channel.

    Args:
        app: the application; without it, call `init_app` later.
        **settings: any setting by its name in small letters; see `bridge.settings.Settings`.

    Raises:
        SettingsError: a setting is bad, or no secret is set and `public` is false.
    """

    settings: Settings
    tokens: Tokens | None
    socketio: SocketIO

    def __init__(self, app: Flask | None = None, **settings: Any) -> None:
        self._given = settings
        self._lock = threading.Lock()
        self._serving: tuple[int, Relay, Answers] | None = None
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, **settings: Any) -> None:
        """Add the bridge to an application; starts nothing.

        Args:
            app: the application. Its own `SocketIO`, if any, must have been added before.
            **settings: as for `Bridge`; they win over those given there.

        Raises:
            SettingsError: a setting is bad, or no secret is set and `public` is false.
        """
        self.settings = _settings(app, {**self._given, **settings})
        self.tokens = _tokens(self.settings)
        self._app = app
        self._made_socketio = "socketio" not in app.extensions
        if self._made_socketio:
            _make_socketio(app, self.settings)
        self.socketio = app.extensions["socketio"]
        self.socketio.on_namespace(BridgeNamespace(self.settings.namespace, self._serve))
        _hook_connections(self.socketio.server.eio, self._serve)
        app.register_blueprint(make_blueprint(self.settings, self._serve, lambda: self.async_mode))
        app.before_request(self.start)
        app.wsgi_app = _uncompressed(app.wsgi_app)  # type: ignore[method-assign]
        app.extensions[EXTENSION] = self

    @property
    def async_mode(self) -> str:
        """The mode in which the Socket.IO server works: eventlet, gevent or threading."""
        return str(self.socketio.async_mode)

    @property
    def relay(self) -> Relay | None:
        """The relay of this process, None as long as it serves nobody."""
        serving = self._serving
        return serving[1] if serving is not None and serving[0] == os.getpid() else None

    def start(self) -> None:
        """Start the relay of this process, unless it runs. Serving does it by itself.

        Raises:
            PatchingError: the process is not monkey-patched as the async mode needs.
            SettingsError: the application got another `SocketIO` after the bridge.
        """
        self._serve()

    def stop(self) -> None:
        """Stop the relay of this process, if it runs."""
        with self._lock:
            relay, self._serving = self.relay, None
        if relay is not None:
            relay.stop()

    def issue_token(
        self,
        job: str | Iterable[str] | None = None,
        *,
        root: str | None = None,
        user: object = None,
        actions: Iterable[str] = (WATCH,),
        expires: float | None = None,
    ) -> str:
        """Sign a token that allows to watch, or also to cancel.

        Args:
            job: a job's id, or several.
            root: instead: the root of a workflow, for all its jobs.
            user: instead: a user, for all jobs submitted with that user.
            actions: any of ``watch`` and ``cancel``.
            expires: seconds from now; default: the retention to watch, 1 hour to cancel.

        Raises:
            SettingsError: no secret is set.
            InvalidId: an id is malformed.
            ValueError: not exactly one of job, root and user, or an unknown action.
        """
        if self.tokens is None:
            self.settings.require_secret()
        assert self.tokens is not None
        return self.tokens.issue(jobs=job, root=root, user=user, actions=actions, expires=expires)

    def _serve(self) -> tuple[Relay, Answers]:
        """Return this process's relay and answers; start them the first time."""
        serving, process = self._serving, os.getpid()
        if serving is None or serving[0] != process:
            with self._lock:
                serving = self._serving
                if serving is None or serving[0] != process:
                    serving = self._serving = (process, *self._start())
        return serving[1], serving[2]

    def _start(self) -> tuple[Relay, Answers]:
        replaced = self._app.extensions["socketio"] is not self.socketio
        if replaced:
            raise SettingsError(
                "SocketIO", None, "it was added to the app after the bridge: create it before"
            )
        patching.check(self.async_mode)
        server: Any = self.socketio.server
        if self._made_socketio:
            # Else the base channel is heard only from the first connection on.
            server.manager_initialized = True
            server.manager.initialize()
        relay = Relay(self.settings, server)
        relay.start()
        _log.info("the relay runs in process %d, %s mode", os.getpid(), self.async_mode)
        permission = Permission(self.settings, self.tokens)
        return relay, Answers(relay, permission, max_watches=self.settings.max_watches)


def init_app(app: Flask, **settings: Any) -> Bridge:
    """Add the bridge to an application.

    Args:
        app: the application.
        **settings: as for `Bridge`.

    Returns:
        The bridge; also in ``app.extensions["celery-bridge"]``.
    """
    return Bridge(app, **settings)


def _settings(app: Flask, given: Mapping[str, Any]) -> Settings:
    settings = Settings.load(given, config=app.config)
    if settings.secret_key:
        return settings
    keys = [app.config.get("SECRET_KEY"), *(app.config.get("SECRET_KEY_FALLBACKS") or ())]
    usable = [key.decode() if isinstance(key, bytes) else key for key in keys if key]
    if usable and all(len(key) >= _MIN_KEY_CHARS for key in usable):
        return dataclasses.replace(settings, secret_key=tuple(usable))
    return settings


def _tokens(settings: Settings) -> Tokens | None:
    if settings.public and not settings.secret_key:
        return None
    return Tokens(settings.require_secret(), seconds=settings.retention)


def _make_socketio(app: Flask, settings: Settings) -> None:
    if settings.async_mode != patching.THREADING:
        patching.import_quietly(settings.async_mode)
    origins = settings.cors_origins
    SocketIO(
        app,
        async_mode=settings.async_mode,
        client_manager=StockManager(settings.message_queue, settings.channel),
        cors_allowed_origins=AllowedOrigins(origins) if origins else None,
        max_http_buffer_size=MAX_MESSAGE_BYTES,
    )


def _hook_connections(eio: Any, serve: Callable[[], tuple[Relay, Answers]]) -> None:
    """See each connection come and go, whatever namespaces it uses."""
    connect, disconnect = eio.handlers["connect"], eio.handlers["disconnect"]

    def on_connect(eio_sid: str, environ: dict[str, Any]) -> Any:
        serve()
        return connect(eio_sid, environ)

    def on_disconnect(eio_sid: str, reason: str) -> Any:
        try:
            return disconnect(eio_sid, reason)
        finally:
            members = serve()[0].members
            for member in members.of_connection(eio_sid):
                members.disconnect(member)

    eio.on("connect", on_connect)
    eio.on("disconnect", on_disconnect)


def _uncompressed(wsgi_app: Any) -> Any:
    """Don't negotiate permessage-deflate: it would compress each message for each client anew."""

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        return wsgi_app(environ, start_response)

    return application
