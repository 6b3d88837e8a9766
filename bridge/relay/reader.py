"""The node's one reader of the journal: what many clients ask for at once is asked for once.

One thread owns the connection. Requests that wait while it is busy go out together, in one round
trip, and the same request of several clients only once. When many ask, it goes only every
`TICK_SECONDS`, so that thousands of clients that come in the same moment cost one read a job and
tick, and one connection; when few ask, nobody waits for others.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from bridge.errors import QueueUnavailable
from bridge.journal import Cancelled, Journal, Page
from bridge.records import Reading

ANSWER_SECONDS: Final = 5.0
MAX_WAITING: Final = 5000
TICK_SECONDS: Final = 0.02
#: So many that asked together are many: the next trip waits for its tick.
_MANY: Final = 4
_JOBS_A_TRIP: Final = 64
_JOBS_A_TICK: Final = 1024

_log = logging.getLogger(__name__)

#: A job's id and the seq after which its events are wanted (-1: none).
Request = tuple[str, int]


class _Errand:
    """Something that one thread asks for and waits for."""

    def __init__(self, requests: Sequence[Request], call: Callable[[], Any] | None = None) -> None:
        self.requests = requests
        self.call = call
        self.answer: Any = None
        self.error: Exception | None = None
        self.done = threading.Event()


class Reader:
    """Reads a journal for all handlers of a node.

    Every method raises `QueueUnavailable` when the journal doesn't answer in time.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._errands: queue.Queue[_Errand | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._work, name="bridge_reader", daemon=True)
        self._next_trip = 0.0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, seconds: float = 2.0) -> None:
        """End the thread after what was asked for so far; waits at most that long for it."""
        self._errands.put(None)
        self._thread.join(seconds)

    def read(self, requests: Sequence[Request]) -> list[Reading]:
        """Read jobs, each with its events after a seq. See `Journal.read`."""
        answer: list[Reading] = self._run(_Errand(requests))
        return answer

    def list_jobs(self, room: str, limit: int, cursor: str | None = None) -> Page:
        """See `Journal.list_jobs`."""
        page: Page = self._call(lambda: self._journal.list_jobs(room, limit, cursor))
        return page

    def cancel(self, job: str) -> Cancelled:
        """See `Journal.cancel`."""
        answer: Cancelled = self._call(lambda: self._journal.cancel(job))
        return answer

    def announce(self, version: str) -> list[str]:
        """See `Journal.announce`."""
        found: list[str] = self._call(lambda: self._journal.announce(version))
        return found

    def ping(self) -> None:
        """See `Journal.ping`."""
        self._call(self._journal.ping)

    def _call(self, call: Callable[[], Any]) -> Any:
        return self._run(_Errand((), call))

    def _run(self, errand: _Errand) -> Any:
        try:
            self._errands.put_nowait(errand)
        except queue.Full:
            raise QueueUnavailable("too many requests wait for the journal") from None
        if not errand.done.wait(ANSWER_SECONDS):
            raise QueueUnavailable(f"the journal did not answer within {ANSWER_SECONDS:g} s")
        if errand.error is not None:
            raise QueueUnavailable(str(errand.error)) from errand.error
        return errand.answer

    def _work(self) -> None:
        while True:
            errands = self._gather()
            reads = [errand for errand in errands if errand is not None and errand.call is None]
            for errand in errands:
                if errand is not None and errand.call is not None:
                    _attempt([errand], errand.call)
            if reads:
                _attempt(reads, partial(self._read_together, reads))
            if None in errands:
                return

    def _gather(self) -> list[_Errand | None]:
        """Wait for an errand and, when many ask, for the tick; then take those that wait."""
        errands = [self._errands.get()]
        time.sleep(max(0.0, self._next_trip - time.monotonic()))
        jobs = 0
        while errands[-1] is not None and jobs < _JOBS_A_TICK:
            jobs += len(errands[-1].requests)
            try:
                errands.append(self._errands.get_nowait())
            except queue.Empty:
                break
        self._next_trip = time.monotonic() + TICK_SECONDS if len(errands) >= _MANY else 0.0
        return errands

    def _read_together(self, errands: Sequence[_Errand]) -> None:
        wanted = list(dict.fromkeys(r for errand in errands for r in errand.requests))
        found: dict[Request, Reading] = {}
        for start in range(0, len(wanted), _JOBS_A_TRIP):
            trip = wanted[start : start + _JOBS_A_TRIP]
            found.update(zip(trip, self._journal.read(trip), strict=True))
        for errand in errands:
            errand.answer = [found[request] for request in errand.requests]


def _attempt(errands: Sequence[_Errand], call: Callable[[], Any]) -> None:
    try:
        answer = call()
        if errands[0].call is not None:
            errands[0].answer = answer
    except Exception as error:  # noqa: BLE001 - those who asked get it; the thread serves the next
        if not isinstance(error, QueueUnavailable):
            _log.exception("the journal could not be read")
        for errand in errands:
            errand.error = error
    for errand in errands:
        errand.done.set()
