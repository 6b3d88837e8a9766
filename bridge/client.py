"""A client in Python: `Watch` follows a job on a web node over Socket.IO.

It reconnects, resumes where it was, and renews its token. What the messages mean is told by
`bridge.job_view`.

    with Watch("http://127.0.0.1:5000", job, token=token) as changes:
        for change in changes:
            ...                     # StateChange, EventChange or GapChange, until the job has ended
"""

from __future__ import annotations

import contextlib
import importlib.util
import queue
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final

import socketio

from bridge.errors import (
    BadRequest,
    Expired,
    Finished,
    Forbidden,
    Refused,
    TooMany,
    Unavailable,
    UnknownJob,
)
from bridge.job_view import Change, Effect, EventChange, GapChange, Hole, JobView, StateChange

#: Fresh tokens in a row that the node may refuse as expired, and failed tries to get one.
TOKEN_TRIES: Final = 3
#: What the node tells when a token has run out; by then it has ended the watch.
EXPIRED_EVENT: Final = "bridge:expired"
#: How long an answer may take.
ANSWER_SECONDS: Final = 10

__all__ = ["Change", "EventChange", "GapChange", "JobView", "StateChange", "Watch"]

_REFUSALS: Final = {
    kind.code: kind
    for kind in (BadRequest, Expired, Finished, Forbidden, TooMany, Unavailable, UnknownJob)
}


class Watch:
    """Follows one job on a web node until it has ended: iterate over it for the changes.

    It connects with the first change that is asked for, by WebSocket if it can; it reconnects and
    resumes by itself for as long as it is iterated.

    Args:
        url: the node's address, e.g. ``http://127.0.0.1:5000``.
        job: the job's id.
        token: permission to watch it; None where the node is public. A function that returns one
            is called at first, and again each time that the token has expired.
        namespace: the bridge's Socket.IO namespace.
        since: the seq of the last event that is known already.
        connect_seconds: how long the first connection may take.
    """

    def __init__(
        self,
        url: str,
        job: str,
        token: str | Callable[[], str] | None = None,
        *,
        namespace: str = "/bridge",
        since: int = 0,
        connect_seconds: float = 10.0,
    ) -> None:
        self.view = JobView(since)
        self._url = url
        self._job = job
        self._fresh_token = token if callable(token) else None
        self._token = None if callable(token) else token
        self._token_lock = threading.Lock()
        self._actions: tuple[str, ...] = ()
        self._namespace = namespace
        self._connect_seconds = connect_seconds
        #: Live messages, and None for "watch anew".
        self._arrived: queue.Queue[tuple[str, dict[str, Any]] | None] = queue.Queue()
        self._closed = threading.Event()
        self._client = socketio.Client(
            reconnection_delay=0.1, reconnection_delay_max=2, handle_sigint=False
        )
        self._client.on("*", self._on_event, namespace=namespace)
        self._client.on("connect", lambda: self._arrived.put(None), namespace=namespace)

    @property
    def actions(self) -> tuple[str, ...]:
        """What the token allows, ``watch`` and maybe ``cancel``; empty before the first answer."""
        return self._actions

    def __iter__(self) -> Iterator[Change]:
        """Yield changes until the job has ended and nothing of it is missing.

        Raises:
            Refused: the node says no (`Forbidden`, `Expired`, `BadRequest`...), or can't be
                reached at first (`Unavailable`).
        """
        if not self._client.connected:
            self._connect()
        while not self.view.complete and not self._closed.is_set():
            with contextlib.suppress(queue.Empty):
                arrived = self._arrived.get(timeout=0.5)
                anew: list[Effect] = [Hole(self.view.seq)]
                yield from self._told(anew if arrived is None else self.view.live(*arrived))

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def cancel(self, *, terminate: bool = False) -> None:
        """Ask the job to stop; it has stopped when its state is REVOKED.

        Any thread may call it while the watch is iterated.

        Args:
            terminate: have Celery end the process that executes it, too, for a task that never
                looks; the node needs a Celery app for that.

        Raises:
            Refused: the node says no: `Forbidden` or `Expired` (permission to watch is not
                permission to cancel), `Finished`, `UnknownJob`, `BadRequest` (it has no Celery
                app); `Unavailable` without an answer.
        """
        if not self._client.connected:
            self._connect()
        answer = self._ask("cancel", {"job": self._job, "terminate": terminate})
        if answer is None:
            raise Unavailable("the node did not answer to cancel")
        if not answer.get("ok"):
            raise _refused(answer)

    def close(self) -> None:
        """End the connection and the iteration."""
        self._closed.set()
        self._client.shutdown()

    def _connect(self) -> None:
        transports = [["polling"]]
        if importlib.util.find_spec("websocket") is not None:
            transports.insert(0, ["websocket"])
        problem = ""
        for transport in transports:
            try:
                self._client.connect(
                    self._url,
                    namespaces=[self._namespace],
                    transports=transport,
                    wait_timeout=self._connect_seconds,
                )
                return
            except (socketio.exceptions.ConnectionError, ValueError) as error:
                problem = str(error)
        raise Unavailable(f"no connection to {self._url}: {problem or 'it does not answer'}")

    def _on_event(self, name: str, message: Any = None, *_others: Any) -> None:
        # Other processes may emit whatever they like to the job's room by python-socketio.
        if not isinstance(message, dict) or message.get("job", self._job) != self._job:
            return
        self._arrived.put(None if name == EXPIRED_EVENT else (name, message))

    def _told(self, effects: list[Effect]) -> Iterator[Change]:
        """Tell changes; fill holes by watching again, until the answers leave none."""
        while effects:
            holes = []
            for effect in effects:
                if isinstance(effect, Hole):
                    holes.append(effect)
                else:
                    yield effect
            effects = self._watch() if holes and not self._closed.is_set() else []

    def _watch(self) -> list[Effect]:
        since = self.view.asking()
        answer = self._ask("watch", {"job": self._job, "since": since})
        if answer is None:
            # With the connection gone, the next one asks again.
            return [Hole(since)] if self._client.connected else []
        if answer.get("ok"):
            self._actions = tuple(map(str, answer.get("actions") or ()))
            return self.view.answered(answer, since)
        error = _refused(answer)
        if not isinstance(error, Unavailable):
            raise error
        self._closed.wait(1.0)
        return [Hole(since)]

    def _ask(self, event: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return the node's answer, None if there is none in time; renew an expired token.

        Raises:
            Expired: there is no fresh token.
        """
        token = self._token or self._renewed(None)
        for tries in range(TOKEN_TRIES + 1):
            with_token = request if token is None else {**request, "token": token}
            try:
                said = self._client.call(
                    event, with_token, namespace=self._namespace, timeout=ANSWER_SECONDS
                )
            except socketio.exceptions.SocketIOError:
                return None
            answer: dict[str, Any] = said if isinstance(said, dict) else {}
            expired = answer.get("error") == Expired.code and self._fresh_token is not None
            if not expired or tries == TOKEN_TRIES or self._closed.is_set():
                break
            self._pause(tries)
            token = self._renewed(token)
        return answer

    def _renewed(self, refused: str | None) -> str | None:
        """Return a token other than the refused one, if there is a way to get it.

        Raises:
            Expired: the function failed time and again.
        """
        if self._fresh_token is None:
            return refused
        with self._token_lock:
            # Another thread may have been quicker.
            if self._token in (None, refused):
                self._token = self._granted(self._fresh_token)
            return self._token

    def _granted(self, fresh_token: Callable[[], str]) -> str:
        for tries in range(TOKEN_TRIES):
            try:
                token = fresh_token()
            except Exception as error:
                if tries + 1 == TOKEN_TRIES or self._closed.is_set():
                    raise Expired(f"no fresh token: {type(error).__name__}: {error}") from error
                self._pause(tries + 1)
            else:
                break
        if not isinstance(token, str) or not token:
            raise Expired(f"no fresh token: the function returned {type(token).__name__}")
        return token

    def _pause(self, tries: int) -> None:
        """Wait before a further try: not before the first, then longer and longer."""
        self._closed.wait((2**tries - 1) * random.uniform(0.1, 0.2))


def _refused(answer: Mapping[str, Any]) -> Refused:
    kind = _REFUSALS.get(str(answer.get("error")), Refused)
    return kind(str(answer.get("message") or "the node refuses"))
