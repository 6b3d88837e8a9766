"""What `bridge doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        good: whether it is as it should be.
        what: what was looked at, with what was found.
        fix: what to do; empty where all is well.
        needed: whether the setup can't work without it.
    """

    good: bool
    what: str
    fix: str = ""
    needed: bool = True
