"""Who may do what: by a token, or by the session where the host application decides.

Without permission the answer is the same whether the job exists or not, and where a token is for
other jobs, the journal isn't even asked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from bridge.errors import Expired, Forbidden
from bridge.relay.authorize import Sessions
from bridge.relay.caller import Caller
from bridge.relay.requests import WatchRoom
from bridge.settings import Settings
from bridge.tokens import CANCEL, WATCH, Claims, Tokens

FORBIDDEN_MESSAGE: Final = "no permission: a valid token for this is needed"
EXPIRED_MESSAGE: Final = "this token has expired: ask the page that gave it for a fresh one"

#: Reads a job's snapshot, None where nothing is known.
Look = Callable[[str], "dict[str, Any] | None"]


@dataclass(frozen=True, slots=True)
class Grant:
    """A permission that was given.

    Attributes:
        ends: the Unix second at which it ends; None: it doesn't.
        user: whose it is, None if that isn't known.
        who: the same for people, e.g. in a log.
    """

    ends: float | None
    user: str | None
    who: str


class Permission:
    """Decides.

    Args:
        settings: whether everything may be watched (`public`).
        tokens: checks tokens; None where no secret is set, which `public` allows.
        sessions: asks the host application.
    """

    def __init__(self, settings: Settings, tokens: Tokens | None, sessions: Sessions) -> None:
        self._public = settings.public
        self._tokens = tokens
        self._sessions = sessions

    def hear(self, token: str | None, caller: Caller) -> Hearing:
        """Return what decides about one request; a context manager.

        Args:
            token: what the client gave.
            caller: who asks.
        """
        return Hearing(self._public, self._tokens, self._sessions, token, caller)


class Hearing(AbstractContextManager["Hearing"]):
    """Decides about one request, which may be for many jobs.

    Args:
        public: whether everything may be watched.
        tokens: checks the token; sessions: asks the host application.
        token: what the client gave; caller: who asks.
    """

    def __init__(
        self,
        public: bool,
        tokens: Tokens | None,
        sessions: Sessions,
        token: str | None,
        caller: Caller,
    ) -> None:
        self._public = public
        self._tokens = tokens
        self._claims = _claims(tokens, token)
        self._visit = sessions.visit(caller)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._visit is not None:
            self._visit.close()

    def job(self, action: str, job: str, look: Look) -> Grant:
        """Return the permission for an action on a job.

        Args:
            action: ``watch`` or ``cancel``; only watching can be public.
            job: the job's id.
            look: asked for the job's root and user, where the decision depends on these.

        Raises:
            Forbidden: there is none.
            Expired: there was one once.
        """
        if self._public and action == WATCH:
            return Grant(None, None, "anyone")
        return self._decide(action, lambda claims: _scope_of(claims, job, look), lambda: look(job))

    def room(self, request: WatchRoom, look: Look) -> Grant:
        """Return the permission to watch a root's or a user's jobs.

        A session is asked about the root's own job, or about a job of which only the user is known.

        Raises:
            Forbidden: there is none.
            Expired: there was one once.
        """
        if self._public:
            return Grant(None, None, "anyone")
        ident = request.ident
        any_of_user = {"job": None, "root": None, "user": ident}
        return self._decide(
            WATCH,
            lambda _: {request.kind: ident},
            lambda: look(ident) if request.kind == "root" else any_of_user,
        )

    def actions(self, job: str, snapshot: dict[str, Any] | None) -> list[str]:
        """Return what someone who may watch a job may do with it."""
        try:
            self.job(CANCEL, job, lambda _: snapshot)
        except (Forbidden, Expired):
            return [WATCH]
        return [WATCH, CANCEL]

    def _decide(
        self,
        action: str,
        scope: Callable[[Claims], dict[str, str]],
        subject: Callable[[], dict[str, Any] | None],
    ) -> Grant:
        refusal: Forbidden | Expired = Forbidden(FORBIDDEN_MESSAGE)
        try:
            if self._tokens is not None and self._claims is not None:
                wanted = scope(self._claims)
                return _granted(self._claims, self._tokens.expiry(self._claims, action, **wanted))
        except Expired:
            refusal = Expired(EXPIRED_MESSAGE)
        except Forbidden:
            pass
        if self._visit is not None and self._visit.allows(action, subject()):
            user = self._visit.user
            return Grant(None, user, f"user {user!r} by session")
        raise refusal


def _claims(tokens: Tokens | None, token: str | None) -> Claims | None:
    try:
        return None if tokens is None else tokens.read(token)
    except Forbidden:
        return None


def _granted(claims: Claims, ends: float) -> Grant:
    if claims.scope == "job":
        return Grant(ends, None, "a token for the job")
    (ident,) = claims.ids
    return Grant(ends, ident if claims.scope == "user" else None, f"{claims.scope} {ident!r}")


def _scope_of(claims: Claims, job: str, look: Look) -> dict[str, str]:
    """What a token must be for, if it is to allow something with a job."""
    if claims.scope == "job":
        return {"job": job}
    snapshot = look(job) or {}
    if claims.scope == "root":
        # A workflow's root belongs to it, though it has no root of its own.
        return {"root": snapshot.get("root") or job}
    return {"user": snapshot.get("user") or ""}
