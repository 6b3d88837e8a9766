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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, request
from flask_socketio import SocketIO

from bridge.errors import BadRequest, InvalidId, SettingsError
from bridge.message_queue.choice import base_channel_of
from bridge.relay import patching
from bridge.relay.answers import Answer, Answers, JobList
from bridge.relay.authorize import Authorize, Sessions
from bridge.relay.caller import caller_of
from bridge.relay.entrance import entrance
from bridge.relay.gate import Gate
from bridge.relay.hooks import hook
from bridge.relay.http import make_blueprint
from bridge.relay.metrics import Metrics
from bridge.relay.namespace import BridgeNamespace
from bridge.relay.origins import ANY_ORIGIN, AllowedOrigins
from bridge.relay.permission import Permission
from bridge.relay.relay import Relay
from bridge.relay.requests import DEFAULT_LIMIT, Cancel
from bridge.relay.streams import Streams
from bridge.relay.termination import Termination
from bridge.rooms import check_job_id, check_user_id
from bridge.settings import MEMORY_IS_APART, NOT_TEXT, Settings
from bridge.tokens import WATCH, Tokens

if TYPE_CHECKING:
    from celery import Celery

EXTENSION: Final = "celery-bridge"
_MIN_KEY_CHARS: Final = 16

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Serving:
    """What one process serves with."""

    process: int
    relay: Relay
    answers: Answers
    gate: Gate
    streams: Streams
    metrics: Metrics


class Bridge:
    """The relay in a Flask app.

    An application that has a `SocketIO` already keeps it: the bridge adds its namespace to that
    server. Otherwise the bridge makes one (`bridge.socketio`), on the base channel.

    Args:
        app: the application; without it, call `init_app` later.
        authorize: gets (user, job, action) and returns whether that user may: the user of
            Flask-Login, if the app has it, else None; the job's snapshot, None if nothing is known
            of it; ``watch`` or ``cancel``. Called in the request context of the connection, only
            for pages of this node's own origin, and only where no token allows it. For a user's
            room the job has nothing but its ``user``. Ready: `bridge.relay.authorize.owner_only`.
        celery: the Celery app whose workers do the jobs, or one that reaches their broker. With it,
            who may cancel a job may also have it terminated; and its result backend is asked for
            ends that the journal doesn't know, unless RESULT_BACKEND names one.
        **settings: any setting by its name in small letters; see `bridge.settings.Settings`.

    Raises:
        SettingsError: a setting is bad, or no secret is set and `public` is false.
    """

    settings: Settings
    tokens: Tokens | None
    socketio: SocketIO

    def __init__(
        self,
        app: Flask | None = None,
        authorize: Authorize | None = None,
        celery: Celery | None = None,
        **settings: Any,
    ) -> None:
        self.celery = celery
        self._given = settings
        self._authorize = authorize
        self._lock = threading.Lock()
        self._hears_base_in = 0
        self._serving: _Serving | None = None
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
        if self.settings.in_result_backend:
            self.settings = _with_backend(self.settings, self.celery)
            self.settings.require_result_backend()
        self.tokens = _tokens(self.settings)
        self._app = app
        self._made_socketio = "socketio" not in app.extensions
        if self._made_socketio:
            _make_socketio(app, self.settings)
        self.socketio = app.extensions["socketio"]
        self.socketio.on_namespace(
            BridgeNamespace(
                self.settings.namespace, self._serve, lambda sid: self._gate().enter(sid)
            )
        )
        hook(self.socketio.server, self._gate, whole=self._made_socketio)
        app.register_blueprint(
            make_blueprint(self.settings, self._running, lambda: self.async_mode)
        )
        app.before_request(self.start)
        app.wsgi_app = entrance(app.wsgi_app)  # type: ignore[method-assign]
        app.extensions[EXTENSION] = self

    @property
    def async_mode(self) -> str:
        """The mode in which the Socket.IO server works: eventlet, gevent or threading."""
        return str(self.socketio.async_mode)

    @property
    def relay(self) -> Relay | None:
        """The relay of this process, None as long as it serves nobody."""
        serving = self._serving
        return serving.relay if serving is not None and serving.process == os.getpid() else None

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
            relay, serving, self._serving = self.relay, self._serving, None
        if relay is not None and serving is not None:
            serving.streams.stop()
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

    def look(self, job: str, *, since: int = 0, token: str | None = None) -> Answer:
        """Return what the current request may know of a job, for a page that is made on the server.

        It is the answer of ``GET /bridge/jobs/<job>``: by the token or, where the application has
        an `authorize`, by the session, as everywhere in the application's own views: also where a
        link on another site led here. Only in a request.

        Args:
            job: the job's id.
            since: the seq after which its events are wanted; 0: all that are retained.
            token: what the page's visitor brought.

        Returns:
            ``{ok, job, snapshot, events, gap, actions}``.

        Raises:
            Refused: no permission (`Forbidden`, `Expired`), `UnknownJob`, a malformed id
                (`BadRequest`), or the journal can't be reached (`Unavailable`).
        """
        caller = caller_of(request.environ, self.settings.trusted_proxies)
        caller = dataclasses.replace(caller, own_site=True)
        return self._running().answers.snapshot(_checked(job), since, token, caller)

    def cancel(self, job: str, *, token: str | None = None) -> None:
        """Ask a job to stop, for a form that is sent to the application without a script.

        It is ``POST /bridge/jobs/<job>/cancel``: the session decides only where the browser says
        that a page of this site sent the form. Only in a request.

        Args:
            job: the job's id.
            token: what the page's visitor brought.

        Raises:
            Refused: no permission (`Forbidden`, `Expired`), `UnknownJob`, it has ended
                (`Finished`), a malformed id (`BadRequest`), or the journal can't be reached
                (`Unavailable`).
        """
        caller = caller_of(request.environ, self.settings.trusted_proxies)
        self._running().answers.cancel(Cancel(_checked(job), token), caller)

    def list_jobs(
        self,
        *,
        user: object = None,
        root: str | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> JobList:
        """List jobs, newest first: a user's, those of a workflow's root, or all of this channel.

        It asks nobody for permission: whom the jobs are shown to is for the caller to decide.

        Args:
            user: a user's id; root: or the id of a workflow's root, which itself is not listed.
            limit: how many.
            cursor: where an earlier list ended.

        Raises:
            InvalidId: an id is malformed.
            ValueError: both of user and root.
            Unavailable: the journal can't be reached.
        """
        if user is not None and root is not None:
            raise ValueError("list_jobs: one of user= and root= is enough")
        return self._running().answers.list_jobs(
            None if user is None else check_user_id(user),
            None if root is None else check_job_id(root),
            limit,
            cursor,
        )

    def _serve(self) -> tuple[Relay, Answers]:
        """Return this process's relay and answers; start them the first time."""
        serving = self._running()
        return serving.relay, serving.answers

    def _gate(self) -> Gate:
        return self._running().gate

    def _running(self) -> _Serving:
        serving, process = self._serving, os.getpid()
        if serving is None or serving.process != process:
            with self._lock:
                serving = self._serving
                if serving is None or serving.process != process:
                    serving = self._serving = self._start()
        return serving

    def _start(self) -> _Serving:
        replaced = self._app.extensions["socketio"] is not self.socketio
        if replaced:
            raise SettingsError(
                "SocketIO", None, "it was added to the app after the bridge: create it before"
            )
        patching.check(self.async_mode)
        server: Any = self.socketio.server
        if self._made_socketio and self._hears_base_in != os.getpid():
            # Else the base channel is heard only from the first connection on. It is heard as long
            # as the process lives: a second listener would deliver everything twice.
            self._hears_base_in = os.getpid()
            server.manager_initialized = True
            server.manager.initialize()
        relay = Relay(_with_backend(self.settings, self.celery), server, self.celery)
        if self._made_socketio:
            server.manager.on_malformed = lambda: relay.counters.add("queue.base")
        gate = Gate(self.settings, server, relay, whole=self._made_socketio)
        permission = Permission(self.settings, self.tokens, Sessions(self._app, self._authorize))
        termination = Termination(self.celery)
        answers = Answers(relay, permission, self.settings, gate.caller, termination)
        relay.chores.append(gate.tend)
        relay.start()
        _log.info("the relay runs in process %d, %s mode", os.getpid(), self.async_mode)
        self._warn()
        streams = Streams(self.settings, relay, gate, answers)
        metrics = Metrics(relay, gate, streams, lambda: self.async_mode)
        return _Serving(os.getpid(), relay, answers, gate, streams, metrics)

    def _warn(self) -> None:
        if unpatched := patching.how_patched().unpatched:
            fix = patching.first_line(self.settings.async_mode)
            _log.warning("patched too late: %s keep unpatched parts. %s", ", ".join(unpatched), fix)
        if self.settings.is_memory_apart:
            _log.warning(MEMORY_IS_APART)
        if ANY_ORIGIN in self.settings.cors_origins:
            _log.warning(
                "BRIDGE_CORS_ORIGINS is *: pages of every site may connect; name the origins "
                "that need it"
            )
        if self.settings.public:
            _log.warning("BRIDGE_PUBLIC is on: everybody may watch every job, without a token")


def init_app(
    app: Flask,
    authorize: Authorize | None = None,
    celery: Celery | None = None,
    **settings: Any,
) -> Bridge:
    """Add the bridge to an application.

    Args:
        app: the application; authorize, celery: as for `Bridge`.
        **settings: as for `Bridge`.

    Returns:
        The bridge; also in ``app.extensions["celery-bridge"]``.
    """
    return Bridge(app, authorize, celery, **settings)


def _with_backend(settings: Settings, celery: Celery | None) -> Settings:
    """Fill in a Celery app's result backend; answers by RPC are for who sent the task only."""
    backend = celery.conf.result_backend if celery is not None else None
    if settings.result_backend or not backend or backend.startswith("rpc"):
        return settings
    return dataclasses.replace(settings, result_backend=backend)


def _settings(app: Flask, given: Mapping[str, Any]) -> Settings:
    settings = Settings.load(given, config=app.config)
    if settings.secret_key:
        return settings
    keys = [app.config.get("SECRET_KEY"), *(app.config.get("SECRET_KEY_FALLBACKS") or ())]
    try:
        usable = [key.decode() if isinstance(key, bytes) else key for key in keys if key]
    except UnicodeDecodeError:
        raise SettingsError("SECRET_KEY", "***", f"{NOT_TEXT}, as BRIDGE_SECRET_KEY") from None
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
        async_mode=patching.driver_of(settings.async_mode),
        client_manager=base_channel_of(settings),
        cors_allowed_origins=AllowedOrigins(origins) if origins else None,
        # Whoever is let in by *, is let in without its cookies.
        cors_credentials=ANY_ORIGIN not in origins,
        max_http_buffer_size=settings.max_message,
    )


def _checked(job: str) -> str:
    try:
        return check_job_id(job)
    except InvalidId as error:
        raise BadRequest(str(error)) from None
