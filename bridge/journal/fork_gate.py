"""The fork gate: no process is forked while a thread of ours is inside of a result backend.

Celery's and kombu's cached properties have one lock each for all objects of a class. A child that
is forked while another thread holds one can never take it: the task's own backend would hang in
that child. So a fork waits for our calls, which take milliseconds, but not for a backend that
hangs; for that case the child frees those locks, which nobody but the thread that is gone could.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from kombu.utils.objects import cached_property

#: How long a fork waits for calls that are under way, and a call for a fork, at the most.
WAIT_SECONDS: Final = 0.2


class ForkGate:
    """Keeps calls and forks apart."""

    def __init__(self) -> None:
        self._classes: set[type] = set()
        self._reset()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Hold off forks for the length of a block."""
        with self._changed:
            self._changed.wait_for(lambda: not self._forking, WAIT_SECONDS)
            self._calls += 1
        try:
            yield
        finally:
            with self._changed:
                self._calls -= 1
                self._changed.notify_all()

    def free_in_children(self, instance: Any) -> None:
        """Have the locks of an object's classes freed in every child."""
        self._classes.update(type(instance).__mro__)

    def before(self) -> None:
        """A fork is about to happen."""
        with self._changed:
            self._forking = True
            self._changed.wait_for(lambda: not self._calls, WAIT_SECONDS)

    def after_in_parent(self) -> None:
        """It has happened."""
        with self._changed:
            self._forking = False
            self._changed.notify_all()

    def after_in_child(self) -> None:
        """This is the child, in which no other thread lives."""
        self._reset()
        for each in self._classes:
            for value in vars(each).values():
                if isinstance(value, cached_property) and hasattr(value, "lock"):
                    value.lock = threading.RLock()

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._calls = 0
        self._forking = False


gate: Final = ForkGate()
os.register_at_fork(
    before=gate.before,
    after_in_parent=gate.after_in_parent,
    after_in_child=gate.after_in_child,
)
