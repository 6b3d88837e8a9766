"""Tallies: loops over sequences that are counted in C, so that a step costs almost nothing.

`compress` gives out an item for each tick that is true, and how many ticks are left can be read
from another thread. All ticks are one flag; where a job is cancelled, the flag's class changes, and
the next step raises. It works where asking for an item can't fail: else the count would be one too
low after a failure.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import chain, compress, repeat
from typing import Final, TypeVar

from bridge.errors import JobCancelled

T = TypeVar("T")
_COUNTED: Final = (list, tuple, range, str, bytes)
_TICKS: Final = sys.maxsize


class Flag:
    """True, as long as a job is not cancelled.

    Args:
        job: the job's id.
    """

    __slots__ = ("_job",)

    def __init__(self, job: str) -> None:
        self._job = job

    def lower(self) -> None:
        """Let the next step of each loop raise `JobCancelled`."""
        self.__class__ = _Lowered


class _Lowered(Flag):
    __slots__ = ()

    def __bool__(self) -> bool:
        raise JobCancelled(self._job)


class Tally:
    """Counts the items of one loop that are done.

    Args:
        flag: the job's.
    """

    __slots__ = ("_ended", "_ticks")

    def __init__(self, flag: Flag) -> None:
        self._ticks = repeat(flag, _TICKS)
        self._ended = False

    @staticmethod
    def fits(iterable: object) -> bool:
        """Whether asking this for an item can't fail."""
        return type(iterable) in _COUNTED

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """Give out the items, each when it is asked for."""
        return chain(compress(items, self._ticks), self._end())

    def count(self) -> int:
        """Return how many are done: all that were given out, but the one that the loop is at."""
        given = _TICKS - self._ticks.__length_hint__()
        return given if self._ended else max(0, given - 1)

    def _end(self) -> Iterator[T]:
        self._ended = True
        yield from ()
