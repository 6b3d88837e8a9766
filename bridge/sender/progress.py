"""`Progress`: what a task tells about itself while it runs."""

from __future__ import annotations

import contextvars
import json
import logging
import time
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Final

from celery.exceptions import Reject

from bridge.errors import PayloadTooLarge
from bridge.records import (
    FINAL,
    LOG_EVENT,
    MAX_ERROR_CHARS,
    MAX_MESSAGE_CHARS,
    PROGRESS,
    RETRY,
    STARTED,
    SUCCESS,
    ErrorRecord,
    check_event_name,
    encode,
    shorten,
)
from bridge.sender.estimate import Estimator
from bridge.sender.meter import MAX_STAGES, Meter, Number, Stage
from bridge.sender.pen import Pen
from bridge.sender.run import Run
from bridge.sender.tally import Flag

#: All of a job's `meta` as JSON takes at most this many bytes.
MAX_META_BYTES: Final = 4096
MAX_LOG_CHARS: Final = 2000

#: Sends a custom event of a job: (name, JSON text of its data).
SendEvent = Callable[[str, str], None]

_current: contextvars.ContextVar[Progress | None] = contextvars.ContextVar(
    "celery_bridge_progress", default=None
)


def current_progress() -> Progress:
    """Return the open `Progress` of the task that runs here.

    Outside a bridged task it returns one that nobody sees, so that code which reports progress can
    also be called from elsewhere.
    """
    return _current.get() or Progress(Run(job=""))


def open_progress() -> Progress | None:
    """Return the open `Progress` of the task that runs here, or None."""
    return _current.get()


def enter(progress: Progress) -> contextvars.Token[Progress | None]:
    """Make a progress the current one; give the token to `leave`."""
    return _current.set(progress)


def leave(token: contextvars.Token[Progress | None]) -> None:
    """Make the progress from before `enter` the current one again."""
    _current.reset(token)


class Progress(Meter):
    """How far a job is, in its task's hands.

    A task gets it as its argument ``progress`` or from `current_progress`. Nothing here waits for
    the network, and no trouble of the network is ever raised here.

    Args:
        run: the execution that it tells of.
        unit: what is counted, e.g. ``"rows"`` or ``"B"``.
        keep_result: whether the task's result is sent with SUCCESS.
        limit: bytes of JSON that one event's data or the result may have.
        send_event: takes the events; None: nobody sees this progress.
        told_end: called once this run's end is decided.

    Attributes:
        raised: what the task's function raised, until it is known what Celery makes of it.
        returned: what it returned.
        pen: the right to mirror this run in Celery's result backend; None: it isn't.
    """

    __slots__ = (
        "_cancel_requested", "_estimator", "_limit", "_message", "_meta", "_send_event", "_stages",
        "_told_end", "_unit", "ended_at", "error", "flag", "keep_result", "next_at", "pen",
        "raised", "result", "returned", "run", "state",
    )  # fmt: skip

    def __init__(
        self,
        run: Run,
        *,
        unit: str | None = None,
        keep_result: bool = False,
        limit: int = 65536,
        send_event: SendEvent | None = None,
        told_end: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(None)
        self.run = run
        self._unit = unit
        self.keep_result = keep_result
        self.state = STARTED
        self._cancel_requested = False
        self.flag = Flag(run.job)
        self.result: Any = None
        self.error: ErrorRecord | None = None
        self.next_at: float | None = None
        self.ended_at: float | None = None
        self._limit = limit
        self.raised: BaseException | None = None
        self.returned: Any = None
        self.pen: Pen | None = None
        self._send_event = send_event
        self._told_end = told_end
        self._message: str | None = None
        self._meta = Meta()
        self._stages: list[Stage] = []
        self._estimator = Estimator()

    @property
    def job(self) -> str:
        """The job's id: Celery's task id; empty where nobody sees this progress."""
        return self.run.job

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to cancel the job; the next step will raise `JobCancelled`."""
        return self._cancel_requested

    @property
    def cancel_requested(self) -> bool:
        """The same; the sender thread sets it."""
        return self._cancel_requested

    @cancel_requested.setter
    def cancel_requested(self, value: bool) -> None:
        self._cancel_requested = value
        if value:
            self.flag.lower()

    @property
    def unit(self) -> str | None:
        """What is counted, e.g. ``"rows"`` or ``"B"``; the decorator sets it."""
        return self._unit

    @property
    def message(self) -> str | None:
        """A short text for people; cut after 500 characters."""
        return self._message

    @message.setter
    def message(self, text: str) -> None:
        self._message = shorten(str(text), MAX_MESSAGE_CHARS)

    @property
    def meta(self) -> MutableMapping[str, Any]:
        """A small dict that travels with each state: ``progress.meta["file"] = "a.csv"``.

        Setting an item raises `PayloadError` if it isn't JSON, or all of it is over 4 KiB.
        """
        return self._meta

    @meta.setter
    def meta(self, values: MutableMapping[str, Any]) -> None:
        self._meta.replace(dict(values))

    def emit(self, name: str, data: Any = None) -> None:
        """Send an event of this job. It is kept for late watchers and never lost while retained.

        Args:
            name: the Socket.IO event's name; some are reserved.
            data: anything that JSON can hold, up to MAX_PAYLOAD.

        Raises:
            ReservedName, PayloadError: at the call, before anything is sent.
        """
        self._event(check_event_name(name), data)

    def log(self, text: str, level: str = "INFO", logger: str | None = None) -> None:
        """Send a line for people as a ``log`` event.

        Args:
            text: the line; cut after 2,000 characters.
            level: a level's name as in `logging`.
            logger: who says it; default: the task's name.

        Raises:
            ValueError: no such level.
        """
        if not isinstance(logging.getLevelName(level), int):
            raise ValueError(f"level={level!r}: a level's name such as INFO or WARNING is needed")
        line = {
            "level": level,
            "logger": logger or self.run.task or "",
            "text": shorten(str(text), MAX_LOG_CHARS),
        }
        self._event(check_event_name(LOG_EVENT, ours=True), line)

    def add_stage(self, stage: Stage) -> None:
        """Take a stage into the list that travels; see `Meter.stage`."""
        if not self._stages and self.current is None:
            self.counting_begins(0)
        self._stages.append(stage)
        if len(self._stages) > MAX_STAGES:
            closed = next((each for each in self._stages if each.state != PROGRESS), None)
            if closed is not None:
                self._stages.remove(closed)
                self._forget(self, closed)

    def counting_begins(self, current: Number) -> None:
        """Start the clock of the rate: called when the first unit is about to be counted."""
        self._estimator.sample(time.monotonic(), current)

    def finish(
        self,
        state: str,
        *,
        result: Any = None,
        error: BaseException | None = None,
        next_at: float | None = None,
    ) -> bool:
        """Decide how this run ended; the first to decide wins.

        Args:
            state: a final state, or RETRY.
            result: the task's result; sent only if the task opted in.
            error: why it failed or is tried again.
            next_at: when it is tried again, in Unix seconds.

        Returns:
            False if it was decided before.
        """
        if self.finished:
            return False
        self.result = self._outcome(result) if state == SUCCESS and self.keep_result else None
        self.error = describe_error(error) if error is not None else None
        self.next_at = next_at
        self.ended_at = round(time.time(), 3)
        self.returned = None
        self.state = state
        if self._told_end is not None:
            self._told_end()
        return True

    @property
    def finished(self) -> bool:
        """Whether this run has ended."""
        return self.state in FINAL or self.state == RETRY

    def sample(self) -> tuple[object, ...]:
        """What would make the next record differ from the last; cheap, for the sender thread."""
        return (
            self.state, self.current, self._total, self._message, self._meta.version,
            tuple((stage.current, stage._total, stage.state) for stage in tuple(self._stages)),
        )  # fmt: skip

    def record(self, at: float) -> dict[str, Any]:
        """Return the state record, but for the journal's numbers.

        Args:
            at: a monotonic time in seconds, for the rate.
        """
        return {**self.run.record(), **self.changing(at)}

    def changing(self, at: float) -> dict[str, Any]:
        """Return the part of the record that changes while the run goes on; see `record`."""
        current, total, unit = self._figures()
        if current is not None:
            self._estimator.sample(at, current)
        ended = self.finished
        state = self.state
        if state == STARTED and (current is not None or self._message or self._stages):
            state = PROGRESS
        rate = self._estimator.rate
        eta = None if ended else self._estimator.eta(total)
        stage = next((s for s in reversed(self._stages) if s.state == PROGRESS), None)
        return {
            "state": state, "message": self._message,
            "current": current, "total": total, "unit": unit,
            "rate": None if rate is None else float(f"{rate:.4g}"),
            "eta": None if eta is None else round(eta, 1),
            "stage": None if stage is None or ended else stage.name,
            "stages": [each.record() for each in tuple(self._stages)],
            "updated_at": round(time.time(), 3), "ended_at": self.ended_at,
            "next_at": self.next_at, "result": self.result, "error": self.error,
            "meta": dict(self._meta),
        }  # fmt: skip

    def _figures(self) -> tuple[Number | None, Number | None, str | None]:
        """The overall figure: in the task's own unit where it counts one, else in per cent."""
        if not self._used:
            return self.current, self._total, self._unit
        if self._total is None:
            return round(100 * self.fraction, 2), 100, "%"
        if self.current is None:
            return _like(self.fraction * self._total, self._total), self._total, self._unit
        own_share = 1.0 - self._used
        if own_share <= 1e-9:
            return _like(self.fraction * self._total, self._total), self._total, self._unit
        whole = self._total / own_share
        done = self.current + self._staged() * whole
        return _like(done, self._total), _like(whole, self._total), self._unit

    def _event(self, name: str, data: Any) -> None:
        text = encode(data, what=f"the data of event {name!r}", limit=self._limit)
        if self._send_event is not None:
            self._send_event(name, text)

    def _outcome(self, result: Any) -> Any:
        try:
            return json.loads(encode(result, what="the result", limit=self._limit))
        except PayloadTooLarge:
            return {"bridge:omitted": "too large"}
        except ValueError:
            return {"bridge:omitted": "not JSON"}

    @staticmethod
    def _forget(meter: Meter, stage: Stage) -> None:
        meter._settle(stage)
        for child in tuple(meter._children):
            Progress._forget(child, stage)


class Meta(MutableMapping[str, Any]):
    """A job's `meta`: a dict that refuses what can't travel."""

    __slots__ = ("_values", "version")

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self.version = 0

    def replace(self, values: dict[str, Any]) -> None:
        """Take other values instead of all there are."""
        # A copy: what the task changes inside a value later must not meet the sender thread.
        self._values = json.loads(encode(values, what="meta", limit=MAX_META_BYTES))
        self.version += 1

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.replace({**self._values, key: value})

    def __delitem__(self, key: str) -> None:
        self.replace({k: v for k, v in self._values.items() if k != key})

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def describe_error(error: BaseException) -> ErrorRecord:
    """Return an exception's type and text; never its traceback."""
    try:
        text = str(error.args[0] if isinstance(error, Reject) else error)
    except Exception:  # noqa: BLE001 - a user's __str__ may do anything
        text = "(its message can't be shown)"
    return {"type": type(error).__name__, "message": shorten(text, MAX_ERROR_CHARS)}


def _like(value: float, example: Number) -> Number:
    """Round a computed figure to whole units where units are counted in whole ones."""
    return round(value) if isinstance(example, int) else value
