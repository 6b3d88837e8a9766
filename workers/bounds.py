"""Bounds of the tasks' arguments: whoever can write to the queue chooses them."""

from __future__ import annotations

from collections.abc import Sequence


def whole_number_within(name: str, value: object, low: int, high: int) -> None:
    """Raise ValueError unless the value is a whole number from low to high."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name}={value!r}: a whole number from {low} to {high:,} is needed")


def number_within(name: str, value: object, low: float, high: float) -> None:
    """Raise ValueError unless the value is a finite number from low to high."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # Not a number is within no bounds, and no integer is too large to be compared.
    if not number or not low <= value <= high:  # type: ignore[operator]
        raise ValueError(f"{name}={value!r}: a number from {low:g} to {high:g} is needed")


def one_of(name: str, value: object, allowed: Sequence[str]) -> None:
    """Raise ValueError unless the value is one of the texts allowed."""
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: one of {', '.join(allowed)} is needed")
