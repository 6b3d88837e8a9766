"""Permission by the host application's sessions: what `Bridge(app, authorize=...)` takes.

    Bridge(app, authorize=owner_only)

`owner_only` is ready for Flask-Login; any callable that takes a user, a job and an action will do.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from flask import Flask, has_request_context

from bridge.relay.caller import Caller

#: Gets the user, the job's snapshot (None: nothing is known of the job) and ``watch`` or
#: ``cancel``; returns whether that user may.
Authorize = Callable[[Any, "dict[str, Any] | None", str], bool]

_log = logging.getLogger(__name__)


def owner_only(user: Any, job: dict[str, Any] | None, action: str) -> bool:
    """Allow everything to the user whose job it is, nothing to others; for Flask-Login.

    Args:
        user: Flask-Login's current user.
        job: the job's snapshot; None: nothing is known of it.
        action: ``watch`` or ``cancel``.
    """
    name = user_name(user)
    return name is not None and job is not None and job.get("user") == name


def user_name(user: Any) -> str | None:
    """Return the id of a Flask-Login user as text, None if nobody is logged in."""
    if user is None or not getattr(user, "is_authenticated", False):
        return None
    ident = user.get_id()
    return None if ident is None else str(ident)


class Sessions:
    """Asks the host application's `authorize`.

    Args:
        app: the application.
        authorize: what it gave; None: sessions decide nothing.
    """

    def __init__(self, app: Flask, authorize: Authorize | None) -> None:
        self._app = app
        self._authorize = authorize

    def visit(self, caller: Caller) -> Visit | None:
        """Return what a caller's session may decide; None: nothing."""
        if self._authorize is None or not caller.own_site:
            return None
        return Visit(self._app, self._authorize, caller)


class Visit:
    """One request of a caller, in the application's request context as soon as that is needed.

    Args:
        app: the application; authorize: decides; caller: who asks.
    """

    def __init__(self, app: Flask, authorize: Authorize, caller: Caller) -> None:
        self._app = app
        self._authorize = authorize
        self._caller = caller
        self._context = ExitStack()
        self._user: Any = None
        self._entered = False

    def allows(self, action: str, job: dict[str, Any] | None) -> bool:
        """Return whether the session's user may; an error in `authorize` is a no."""
        try:
            self._enter()
            answer: object = self._authorize(self._user, job, action)
            if not isinstance(answer, bool):  # a coroutine, for one, would be true
                raise TypeError(f"authorize must return True or False, not {type(answer)}")
            return answer
        except Exception:  # noqa: BLE001 - the host's code; nobody may through its faults
            _log.exception("authorize failed, so %s is refused", action)
            return False

    @property
    def user(self) -> str | None:
        """The name of the session's user, once `allows` was asked."""
        return user_name(self._user)

    def close(self) -> None:
        """Leave the request context."""
        self._context.close()

    def _enter(self) -> None:
        if self._entered:
            return
        if not has_request_context():
            self._context.enter_context(self._app.request_context(dict(self._caller.environ)))
        if getattr(self._app, "login_manager", None) is not None:
            proxy: Any = importlib.import_module("flask_login").current_user
            self._user = proxy._get_current_object()
        self._entered = True
