"""Who may do what: tokens, and what they say about a job that is known.

Without permission the answer is the same whether the job exists or not, and where a token is for
other jobs, the journal isn't even asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bridge.errors import Expired, Forbidden
from bridge.relay.requests import WatchRoom
from bridge.settings import Settings
from bridge.tokens import WATCH, Tokens

FORBIDDEN_MESSAGE: Final = "no permission: a valid token for this is needed"
EXPIRED_MESSAGE: Final = "this token has expired: ask the page that gave it for a fresh one"

#: Reads a job's snapshot, None where nothing is known.
Look = Callable[[str], "dict[str, Any] | None"]


class Permission:
    """Decides by tokens.

    Args:
        settings: whether everything may be watched (`public`).
        tokens: checks tokens; None where no secret is set, which `public` allows.
    """

    def __init__(self, settings: Settings, tokens: Tokens | None) -> None:
        self._public = settings.public
        self._tokens = tokens

    def job(self, action: str, job: str, token: str | None, look: Look) -> None:
        """Make sure that a token allows an action on a job.

        Args:
            action: ``watch`` or ``cancel``; only watching can be public.
            job: the job's id.
            token: what the client gave.
            look: asked for the job's root or user if the token is for one of these.

        Raises:
            Forbidden: it doesn't.
            Expired: it did once.
        """
        if self._public and action == WATCH:
            return
        self._decide(token, lambda tokens: _check_job(tokens, action, job, token, look))

    def room(self, request: WatchRoom) -> None:
        """Make sure that a token allows to watch a root's or a user's jobs.

        Raises:
            Forbidden: it doesn't.
            Expired: it did once.
        """
        if self._public:
            return
        scope = {request.kind: request.ident}
        self._decide(request.token, lambda tokens: tokens.check(request.token, WATCH, **scope))

    def _decide(self, token: str | None, check: Callable[[Tokens], object]) -> None:
        if self._tokens is None:
            raise Forbidden(FORBIDDEN_MESSAGE)
        try:
            check(self._tokens)
        except Forbidden:
            raise Forbidden(FORBIDDEN_MESSAGE) from None
        except Expired:
            raise Expired(EXPIRED_MESSAGE) from None


def _check_job(tokens: Tokens, action: str, job: str, token: str | None, look: Look) -> None:
    claims = tokens.read(token)
    if claims.scope == "job":
        tokens.check(token, action, job=job)
        return
    snapshot = look(job) or {}
    if claims.scope == "root":
        # A workflow's root belongs to it, though it has no root of its own.
        tokens.check(token, action, root=snapshot.get("root") or job)
    else:
        tokens.check(token, action, user=snapshot.get("user") or "")
