"""Meters: how far some work is. A job is one, and so is each of its stages.

The task's thread only writes attributes here; the sender thread samples them at its own pace. That
keeps a step of a loop at the cost of an assignment.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import TYPE_CHECKING, Final, SupportsFloat, SupportsIndex, TypeVar

from bridge.errors import JobCancelled, StageError
from bridge.records import FAILURE, MAX_NAME_CHARS, PROGRESS, SUCCESS, StageRecord, shorten
from bridge.sender.tally import Tally

if TYPE_CHECKING:
    from bridge.sender.progress import Progress

T = TypeVar("T")
Number = int | float
#: A record names at most this many stages; older closed ones still count in the overall figure.
MAX_STAGES: Final = 100
#: The largest figure: beyond it a browser can't count whole units.
MAX_FIGURE: Final = 2**53
_MIN_FIGURE: Final = -(2**53)
_ROUNDING: Final = 1e-9


def check_number(name: str, value: object) -> Number:
    """Return an int or float of at most 2^53; numpy's and the like are converted.

    Raises:
        TypeError: it is no number.
        ValueError: it is larger, infinite, or not a number.
    """
    number: Number
    if value.__class__ is int or value.__class__ is float:
        number = value  # asking for the protocols takes 10 us
    elif isinstance(value, bool) or not isinstance(value, SupportsIndex | SupportsFloat):
        raise TypeError(f"{name}={value!r}: a number is needed")
    else:
        number = operator.index(value) if isinstance(value, SupportsIndex) else float(value)
    if not _MIN_FIGURE <= number <= MAX_FIGURE:
        shown = value if isinstance(value, float) else "too large"
        raise ValueError(f"{name} is {shown}: a finite number of at most 2^53 is needed")
    return number


class Meter:
    """Counts units of work, by hand or along an iterable, and holds stages.

    Args:
        progress: the job's progress that this is a part of; None for that progress itself.
    """

    __slots__ = (
        "_children", "_current", "_progress", "_settled", "_tallied", "_tally", "_total", "_used",
    )  # fmt: skip

    def __init__(self, progress: Progress | None) -> None:
        self._progress: Progress = progress if progress is not None else self  # type: ignore[assignment]
        self._current: Number | None = None
        self._tally: Tally | None = None
        self._tallied = 0
        self._total: Number | None = None
        self._children: list[Stage] = []
        self._used = 0.0
        self._settled = 0.0

    @property
    def current(self) -> Number | None:
        """Units done, None before the first is counted."""
        if self._tally is not None:
            count = self._tally.count()
            if count != self._tallied:  # else what `update` has said since stands
                return count
        return self._current

    @property
    def total(self) -> Number | None:
        """Units in all, None where that isn't known."""
        return self._total

    def update(
        self,
        current: Number | None = None,
        total: Number | None = None,
        message: str | None = None,
    ) -> None:
        """Set what is given, leave the rest. It never waits and costs about a microsecond.

        Args:
            current: units done.
            total: units in all.
            message: a short text for people; cut after 500 characters.

        Raises:
            JobCancelled: somebody cancelled the job.
            TypeError, ValueError: a figure is not a finite number of at most 2^53.
        """
        progress = self._progress
        if progress._cancel_requested:
            raise JobCancelled(progress.job)
        if total is not None:
            if total.__class__ is not int or not _MIN_FIGURE <= total <= MAX_FIGURE:
                total = check_number("total", total)
            self._total = total
        if current is not None:
            if current.__class__ is not int or not _MIN_FIGURE <= current <= MAX_FIGURE:
                current = check_number("current", current)
            if self._current is None:
                self._count_from(current)
            self._current = current
            if self._tally is not None:
                self._tallied = self._tally.count()
        if message is not None:
            progress.message = message

    def advance(self, n: Number = 1) -> None:
        """Count `n` more units as done.

        Raises:
            JobCancelled: somebody cancelled the job.
            TypeError, ValueError: `n` is not a finite number.
        """
        self.update((self.current or 0) + check_number("n", n))

    def track(
        self, iterable: Iterable[T], total: Number | None = None, description: str | None = None
    ) -> Iterator[T]:
        """Yield what `iterable` yields and count each item when the next is asked for.

        Args:
            iterable: anything; without a length and without `total` the bar is indeterminate.
            total: how many items there are; default: the iterable's length, if it has one.
            description: the message while this loop runs.

        Raises:
            JobCancelled: at a step, when somebody cancelled the job.
        """
        if total is None and isinstance(iterable, Sized):
            total = len(iterable)
        self._total = None if total is None else check_number("total", total)
        self._current = 0
        self._count_from(0)
        if description is not None:
            self._progress.message = description
        if not Tally.fits(iterable):
            self._tally = None
            return self._steps(iterable)
        self._tallied = 0
        self._tally = Tally(self._progress.flag)
        return self._tally.over(iterable)

    def stage(self, name: str, weight: float | None = None) -> Stage:
        """Open a part of this work, as a context manager.

        Args:
            name: what the part is called; cut after 100 characters.
            weight: its share of this whole, above 0 and up to 1; default: all that is left.

        Raises:
            StageError: the weight is out of range, or the weights add up to more than 1.
            JobCancelled: somebody cancelled the job.
        """
        if self._progress.cancel_requested:
            raise JobCancelled(self._progress.job)
        left = max(0.0, 1.0 - self._used)
        share = left if weight is None else weight
        if isinstance(share, bool) or not isinstance(share, int | float):
            raise StageError(f"stage {name!r}: weight={weight!r}: a number is needed")
        if weight is not None and not 0 < share <= 1:
            raise StageError(f"stage {name!r}: weight={weight!r}: above 0 and up to 1 is needed")
        if share > left + _ROUNDING:
            raise StageError(
                f"stage {name!r}: weight={weight!r}, but the stages before it took {self._used:g} "
                f"of 1: make the weights add up to 1"
            )
        stage = Stage(self._progress, name, share)
        self._used += share
        self._children.append(stage)
        self._progress.add_stage(stage)
        return stage

    @property
    def fraction(self) -> float:
        """How much of this work is done, from 0 to 1, its stages by their weights."""
        own, current = 0.0, self.current
        if self._total and current:
            own = min(1.0, max(0.0, current / self._total))
        return min(1.0, own * max(0.0, 1.0 - self._used) + self._staged())

    def _count_from(self, current: Number) -> None:
        if self._progress is self:
            self._progress.counting_begins(current)

    def _staged(self) -> float:
        return self._settled + sum(child.weight * child.fraction for child in self._children)

    def _settle(self, stage: Stage) -> None:
        """Keep a closed stage's share and forget the stage."""
        if stage in self._children:
            self._children.remove(stage)
            self._settled += stage.weight * stage.fraction

    def _steps(self, iterable: Iterable[T]) -> Iterator[T]:
        progress = self._progress
        count = self._current or 0
        for item in iterable:
            yield item
            count += 1
            self._current = count
            if progress._cancel_requested:
                raise JobCancelled(progress.job)


class Stage(Meter):
    """A named part of a job, or of another stage. Made by `Meter.stage`; used with ``with``."""

    __slots__ = ("_name", "_state", "_weight")

    def __init__(self, progress: Progress, name: str, weight: float) -> None:
        super().__init__(progress)
        self._name = shorten(str(name), MAX_NAME_CHARS)
        self._weight = float(weight)
        self._state = PROGRESS

    @property
    def name(self) -> str:
        """What the stage is called."""
        return self._name

    @property
    def weight(self) -> float:
        """Its share of what it is a part of."""
        return self._weight

    @property
    def state(self) -> str:
        """``PROGRESS`` while open, ``SUCCESS`` or ``FAILURE`` afterwards."""
        return self._state

    @property
    def fraction(self) -> float:
        """How much of the stage is done: all of it once it has ended well."""
        return 1.0 if self._state == SUCCESS else super().fraction

    def record(self) -> StageRecord:
        """How the stage stands in a state record."""
        return {
            "name": self._name,
            "current": self.current or 0,
            "total": self._total,
            "weight": self._weight,
            "state": self._state,
        }

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._state = SUCCESS if kind is None else FAILURE
