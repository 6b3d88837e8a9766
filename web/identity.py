"""Who uses this browser: an account that signed in, or a guest.

A guest is somebody, too: with the first job a browser gets an identity of its own in its session's
cookie, and from then on Flask-Login knows it like any other user. So jobs are theirs, their list
is theirs, and nobody has to sign in to try something.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from flask import Flask, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_login import LoginManager, UserMixin, current_user, login_user

from bridge.relay.authorize import owner_only
from bridge.settings import Settings
from web.accounts import ACCOUNTS, Account

COOKIE = "celery-bridge-demo"
GUEST = "guest-"


class Visitor(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    """Who uses a browser.

    Args:
        name: an account's name, or a guest's.
        admin: whether they may see and stop everybody's jobs.
    """

    def __init__(self, name: str, *, admin: bool = False) -> None:
        self.id = name
        self.admin = admin

    @property
    def is_guest(self) -> bool:
        """Whether nobody has signed in."""
        return self.id.startswith(GUEST)


class CookieSessions(SecureCookieSessionInterface):
    """Flask's signed cookies, for HTTPS only where the page came by HTTPS."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Return whether browsers may send the cookie by HTTPS only.

        What a proxy's header claims can only make it stricter.
        """
        return request.is_secure or request.headers.get("X-Forwarded-Proto", "") == "https"


def use_sessions(app: Flask, settings: Settings, *, accounts: bool) -> None:
    """Let an application know its visitors.

    Args:
        app: the application.
        settings: the bridge's; its secret signs the cookie, and it is kept as long as the jobs.
        accounts: whether the demo's accounts count.
    """
    # Without a secret everything is public, and nobody needs to be known for long.
    key, *older = settings.secret_key or (secrets.token_urlsafe(32),)
    app.config.update(
        SECRET_KEY=key,
        SECRET_KEY_FALLBACKS=older,
        SESSION_COOKIE_NAME=COOKIE,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=settings.retention),
    )
    app.session_interface = CookieSessions()
    logins = LoginManager(app)

    @logins.user_loader  # type: ignore[untyped-decorator]
    def load(name: object) -> Visitor | None:
        if not isinstance(name, str):
            return None
        if name.startswith(GUEST):
            return Visitor(name)
        account = ACCOUNTS.get(name) if accounts else None
        return Visitor(account.name, admin=account.admin) if account else None


def sign_in(account: Account) -> None:
    """Let this browser be an account's; what it was before is forgotten."""
    session.clear()
    _enter(Visitor(account.name, admin=account.admin))


def someone() -> Visitor:
    """Return who uses this browser; who is nobody yet becomes a guest."""
    if not current_user.is_authenticated:
        _enter(Visitor(f"{GUEST}{secrets.token_hex(8)}"))
    visitor: Visitor = current_user._get_current_object()
    return visitor


def visitor_or_none() -> Visitor | None:
    """Return who uses this browser, None if nobody is known."""
    return current_user._get_current_object() if current_user.is_authenticated else None


def may(user: Any, job: dict[str, Any] | None, action: str) -> bool:
    """Decide for sessions: everybody may do all with their own jobs, an admin with all.

    Args:
        user: Flask-Login's current user.
        job: the job's snapshot; None: nothing is known of it.
        action: ``watch`` or ``cancel``.
    """
    return bool(getattr(user, "admin", False)) or owner_only(user, job, action)


def _enter(visitor: Visitor) -> None:
    session.permanent = True
    login_user(visitor)
