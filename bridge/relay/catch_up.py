"""Catching up: reading a job's past for clients that missed it, and sending that before the rest.

One background thread does it for clients that joined by `submit(sid=...)`, for slow ones that have
drained, and for whole jobs after the queue was lost. What comes live meanwhile waits aside.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bridge.errors import QueueUnavailable
from bridge.message_queue.subscriber import Ticket
from bridge.records import Reading
from bridge.relay.message import Aside
from bridge.relay.reader import Reader

MAX_WAITING: Final = 100_000
_AT_ONCE: Final = 64
_PAUSE_SECONDS: Final = 0.25
_CONFIRM_SECONDS: Final = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Gap:
    """What somebody missed of a job.

    Attributes:
        job: the job's id.
        since: the seq after which events are wanted; -1: none.
        aside: where live messages of the job wait meanwhile.
        fill: gets the reading; sends it, then what waits aside. Returns the gap that remains, or
            None.
        wanted: whether anybody still waits for it.
        ticket: the subscription that must be confirmed before the reading, if it is new.
    """

    job: str
    since: int
    aside: Aside
    fill: Callable[[Reading], Gap | None]
    wanted: Callable[[], bool]
    ticket: Ticket | None = None


class CatchUp:
    """Fills gaps, as soon as the journal can be read.

    Args:
        reader: reads the journal.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._gaps: queue.Queue[Gap | None] = queue.Queue(MAX_WAITING)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="bridge_catch_up", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._gaps.put(None)

    def add(self, gap: Gap) -> bool:
        """Have a gap filled; returns at once. False: too many wait already."""
        try:
            self._gaps.put_nowait(gap)
        except queue.Full:
            return False
        return True

    def _work(self) -> None:
        while not self._stopped.is_set():
            gaps = [gap for gap in self._gather() if gap is not None and gap.wanted()]
            ready, remaining = _confirmed(gaps)
            try:
                remaining += self._fill(ready)
            except QueueUnavailable as error:
                _log.info("catching up waits for the journal: %s", error)
                remaining += ready
            except Exception:  # noqa: BLE001 - these can't be helped, the next ones can
                _log.exception("catching up failed")
            for gap in remaining:
                self.add(gap)
            if remaining:
                self._stopped.wait(_PAUSE_SECONDS)

    def _gather(self) -> list[Gap | None]:
        gaps = [self._gaps.get()]
        while len(gaps) < _AT_ONCE:
            try:
                gaps.append(self._gaps.get_nowait())
            except queue.Empty:
                break
        return gaps

    def _fill(self, gaps: list[Gap]) -> list[Gap]:
        if not gaps:
            return []
        for gap in gaps:
            gap.aside.begin()
        readings = self._reader.read([(gap.job, gap.since) for gap in gaps])
        left = [gap.fill(reading) for gap, reading in zip(gaps, readings, strict=True)]
        return [gap for gap in left if gap is not None]


def _confirmed(gaps: list[Gap]) -> tuple[list[Gap], list[Gap]]:
    """Part those whose subscription is confirmed, or soon is, from the others."""
    end = time.monotonic() + _CONFIRM_SECONDS
    parts: tuple[list[Gap], list[Gap]] = ([], [])
    for gap in gaps:
        late = gap.ticket is not None and not gap.ticket.wait(max(0.0, end - time.monotonic()))
        parts[late].append(gap)
    return parts
