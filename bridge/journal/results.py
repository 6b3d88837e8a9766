"""Celery's result backend, whichever it is: read and written by our threads, not by the task's.

Celery's backends are neither made for several threads nor for a fork, and some wait for minutes for
a server that is away. So each thread of each process has one of its own, with short limits where
the backend knows any.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from celery import Celery

from bridge.errors import QueueUnavailable
from bridge.journal.fork_gate import gate
from bridge.records import FINAL, MAX_ERROR_CHARS, shorten
from bridge.settings import hide_credentials

REPLY_SECONDS: Final = 2.0
_LIMITS: Final[Mapping[str, Any]] = {
    "result_backend_always_retry": False,
    "redis_socket_timeout": REPLY_SECONDS,
    "redis_socket_connect_timeout": REPLY_SECONDS,
    # Whoever is eager stores nothing and asks for nothing; we do both.
    "task_always_eager": False,
}
_RETRIES: Final = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}

T = TypeVar("T")


class Results:
    """What the result backend has of tasks.

    It connects with the first call, so that it may be made before a fork.

    Args:
        url: the backend, as Celery takes it.
        celery: the app whose configuration of results is taken over, such as its tables' names.
    """

    def __init__(self, url: str, celery: Celery | None = None) -> None:
        self._url = url
        self._celery = celery
        self._here = threading.local()
        self._made: list[Any] = []

    def meta(self, ident: str) -> dict[str, Any]:
        """Return ``status``, ``result``, ``date_done`` and what else is stored under an id.

        Raises:
            QueueUnavailable: it can't be read.
        """
        found = self._ask(lambda backend: backend.get_task_meta(ident, cache=False))
        return found if isinstance(found, dict) else {}

    def store(
        self, ident: str, value: Any, state: str, *, request: Any = None, traceback: Any = None
    ) -> None:
        """Store a value under an id; where SUCCESS is stored already, Celery leaves it.

        Raises:
            QueueUnavailable: it isn't known to be stored.
        """
        self._ask(
            lambda backend: backend.store_result(
                ident, value, state, traceback=traceback, request=request
            )
        )

    def close(self) -> None:
        """Close the connections of all threads; the next call opens another."""
        made, self._made = self._made, []
        self._here = threading.local()
        for backend in made:
            getattr(vars(backend).get("client"), "close", bool)()
            manager = getattr(backend, "session_manager", None)
            for engine in tuple(manager._engines.values()) if manager is not None else ():
                engine.dispose()

    def _ask(self, call: Callable[[Any], T]) -> T:
        try:
            with gate.call():
                return call(self._backend())
        except Exception as error:
            # Any backend, any trouble: what it raises is known to no two of them alike.
            raise QueueUnavailable(
                f"the result backend can't be reached: {self._without_credentials(error)}"
            ) from error

    def _without_credentials(self, error: Exception) -> str:
        text = str(error).replace(self._url, hide_credentials(self._url))
        return shorten(text, MAX_ERROR_CHARS)

    def _backend(self) -> Any:
        pid, backend = getattr(self._here, "backend", (0, None))
        if pid != os.getpid():
            app = self._app()
            backend = app._get_backend()
            for instance in (app, app.loader, backend):
                gate.free_in_children(instance)
            if hasattr(backend, "session_manager"):
                # Of a database: one engine with its connections, and not one for each call.
                backend.session_manager.forked = True
            self._made.append(backend)
            self._here.backend = (os.getpid(), backend)
        return backend

    def _app(self) -> Any:
        app: Any = Celery("celery-bridge-results", set_as_current=False, fixups=[])
        theirs = self._celery
        if theirs is not None and theirs.conf.result_backend == self._url:
            app.conf.update(dict(theirs.conf.without_defaults()))
            app.loader.override_backends = theirs.loader.override_backends
        options = app.conf.result_backend_transport_options or {}
        app.conf.update(
            {**_LIMITS, "result_backend": self._url},
            result_backend_transport_options={**options, "retry_policy": _RETRIES},
        )
        return app


def outcome_of(meta: Mapping[str, Any], before: str = "") -> dict[str, Any] | None:
    """Return how a task ended, as ``state`` and ``error`` of a record; None if it has not.

    Args:
        meta: what `Results.meta` returned.
        before: the `stamp` of an end that an earlier run of the same id left there.
    """
    state = meta.get("status")
    if state not in FINAL or (before and stamp(meta) == before):
        return None
    error = meta.get("result") if state == "FAILURE" else None
    if error is None:
        return {"state": state, "error": None}
    text = shorten(str(error), MAX_ERROR_CHARS)
    return {"state": state, "error": {"type": type(error).__name__, "message": text}}


def stamp(meta: Mapping[str, Any]) -> str:
    """Return what tells one end of a task from the next; empty if it has not ended."""
    ended = meta.get("status") in FINAL and meta.get("date_done")
    return str(meta["date_done"]) if ended else ""


def done_at(meta: Mapping[str, Any]) -> float | None:
    """Return when a task ended, in Unix seconds, where the backend tells with its time zone."""
    done = meta.get("date_done")
    if isinstance(done, str):
        try:
            done = datetime.fromisoformat(done)
        except ValueError:
            return None
    return done.timestamp() if isinstance(done, datetime) and done.tzinfo else None
