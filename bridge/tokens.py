"""Tokens: signed permission to watch or cancel jobs.

itsdangerous' timed signatures; the first key signs, all verify, so keys can be rotated. A token
says what it is for (jobs, one root or one user), which actions, and until when.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from itsdangerous import BadData, URLSafeTimedSerializer

from bridge.errors import Expired, Forbidden
from bridge.rooms import check_job_id, check_user_id

WATCH: Final = "watch"
CANCEL: Final = "cancel"
ACTIONS: Final = (WATCH, CANCEL)
CANCEL_SECONDS: Final = 3600
MAX_TOKEN_CHARS: Final = 8192
_SALT: Final = "celery-bridge token v1"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token allows.

    Attributes:
        scope: what it is about: ``job``, ``root`` or ``user``.
        ids: the ids in that scope.
        expiries: for each allowed action the Unix second at which it ends.
    """

    scope: str
    ids: frozenset[str]
    expiries: dict[str, float]


class Tokens:
    """Issues and checks tokens.

    Args:
        keys: the signing keys; the first signs, all verify.
        seconds: how long a permission to watch lasts unless said otherwise.
        clock: Unix time, injectable for tests.
    """

    def __init__(
        self, keys: Sequence[str], *, seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        # itsdangerous signs with the last key of a list.
        self._serializer = URLSafeTimedSerializer(list(reversed(keys)), salt=_SALT)
        self._seconds = seconds
        self._clock = clock

    def issue(
        self,
        *,
        jobs: str | Iterable[str] | None = None,
        root: str | None = None,
        user: object = None,
        actions: Iterable[str] = (WATCH,),
        expires: float | None = None,
    ) -> str:
        """Sign a token for jobs, for a workflow's root, or for all jobs of a user.

        Args:
            jobs: one job's id or several.
            root: a root's id instead.
            user: a user's id instead.
            actions: any of ``watch`` and ``cancel``.
            expires: seconds from now; default: the retention to watch, 1 hour to cancel.

        Raises:
            InvalidId: an id is malformed.
            ValueError: not exactly one of jobs, root, user; an unknown action; a bad `expires`.
        """
        scope, ids = _scope(jobs, root, user)
        allowed = tuple(actions)
        unknown = [action for action in allowed if action not in ACTIONS]
        if unknown or not allowed or isinstance(actions, str):
            raise ValueError(
                f"actions={actions!r}: a list of any of {', '.join(ACTIONS)} is needed"
            )
        if expires is not None and not 0 < expires <= 10 * 365 * 86400:
            raise ValueError(f"expires={expires!r}: seconds above 0 and up to ten years are needed")
        now = self._clock()
        defaults = {WATCH: self._seconds, CANCEL: min(CANCEL_SECONDS, self._seconds)}
        ends = {a: round(now + (defaults[a] if expires is None else expires), 3) for a in allowed}
        return str(self._serializer.dumps({"s": scope, "i": sorted(ids), "e": ends}))

    def check(
        self,
        token: object,
        action: str,
        *,
        job: str | None = None,
        root: str | None = None,
        user: str | None = None,
    ) -> Claims:
        """Return a token's claims if it allows the action on that job, root or user.

        Raises:
            Forbidden: no token, a forged one, or one for something else.
            Expired: it allowed this once.
        """
        claims = self.read(token)
        self.expiry(claims, action, job=job, root=root, user=user)
        return claims

    def expiry(
        self,
        claims: Claims,
        action: str,
        *,
        job: str | None = None,
        root: str | None = None,
        user: str | None = None,
    ) -> float:
        """Return the Unix second until which claims allow an action.

        Raises:
            Forbidden: they are for something else.
            Expired: they allowed this once.
        """
        scope, wanted = ("job", job) if job else ("root", root) if root else ("user", user)
        if claims.scope != scope or wanted not in claims.ids or action not in claims.expiries:
            raise Forbidden(f"this token does not allow to {action} this {scope}")
        if claims.expiries[action] <= self._clock():
            raise Expired("this token has expired: ask the page that gave it for a fresh one")
        return claims.expiries[action]

    def read(self, token: object) -> Claims:
        """Return the claims of a genuine token, whatever they allow and until when.

        Raises:
            Forbidden: there is no token, or it is forged.
        """
        if not isinstance(token, str) or not token or len(token) > MAX_TOKEN_CHARS:
            raise Forbidden("a token is needed")
        try:
            data: Any = self._serializer.loads(token)
            ends = {str(action): float(end) for action, end in data["e"].items()}
            return Claims(data["s"], frozenset(data["i"]), ends)
        except (BadData, AttributeError, LookupError, TypeError, ValueError):
            # Signed, perhaps, but by something else that was given the same key.
            raise Forbidden("this token is not one of ours") from None


def _scope(
    jobs: str | Iterable[str] | None, root: str | None, user: object
) -> tuple[str, frozenset[str]]:
    if sum(given is not None for given in (jobs, root, user)) != 1:
        raise ValueError("exactly one of jobs=, root= and user= is needed")
    if root is not None:
        return "root", frozenset({check_job_id(root)})
    if user is not None:
        return "user", frozenset({check_user_id(user)})
    several = [jobs] if isinstance(jobs, str) else list(jobs or ())
    if not several:
        raise ValueError("jobs=: at least one job id is needed")
    return "job", frozenset(check_job_id(job) for job in several)
