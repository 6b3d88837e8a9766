"""The jobs that a browser started, remembered in a signed cookie: whoever has it gets fresh tokens.

The cookie goes to `/demo` only, so it never decides what a Socket.IO connection may watch.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

from flask import Flask, request, session
from flask.sessions import SecureCookieSessionInterface

from bridge.settings import Settings

COOKIE = "celery-bridge-demo"
PATH = "/demo"
KEY = "jobs"
#: Browsers take 4096 bytes.
MOST = 50


class CookieSessions(SecureCookieSessionInterface):
    """Flask's signed cookies, for HTTPS only where the page came by HTTPS."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Return whether browsers may send the cookie by HTTPS only.

        What a proxy's header claims can only make it stricter.
        """
        return request.is_secure or request.headers.get("X-Forwarded-Proto", "") == "https"


def use_cookies(app: Flask, settings: Settings) -> None:
    """Let an application remember jobs.

    Args:
        app: the application.
        settings: the bridge's; its secret signs the cookie, and it is kept as long as the jobs.
    """
    # Without a secret everything is public, and a fresh token is never needed.
    key, *older = settings.secret_key or (secrets.token_urlsafe(32),)
    app.config.update(
        SECRET_KEY=key,
        SECRET_KEY_FALLBACKS=older,
        SESSION_COOKIE_NAME=COOKIE,
        SESSION_COOKIE_PATH=PATH,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=settings.retention),
    )
    app.session_interface = CookieSessions()


def remember(job: str) -> None:
    """Remember that this browser started a job; the oldest of many are forgotten.

    Of two jobs that one browser starts in the same moment, the cookie may keep one only; the other
    keeps the token that it came with.
    """
    session.permanent = True
    session[KEY] = [*(each for each in _jobs() if each != job), job][-MOST:]


def is_remembered(job: str) -> bool:
    """Return whether this browser started a job."""
    return job in _jobs()


def _jobs() -> list[str]:
    jobs = session.get(KEY)
    return jobs if isinstance(jobs, list) else []
