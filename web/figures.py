"""Figures as people read them: how pages say what their scripts then keep up to date."""

from __future__ import annotations

from typing import Any

BYTES = ("byte", "kB", "MB", "GB", "TB", "PB")
TIMES = (("day", 86_400), ("hr", 3600), ("min", 60), ("sec", 1))
MOST = 1e21


def part_of(current: Any, total: Any) -> float | None:
    """Return how far something is, 0 to 1; None where nobody knows."""
    if not _counts(current) or not _counts(total) or total <= 0:
        return None
    return float(min(1.0, max(0.0, current / total)))


def amount(current: Any, total: Any, unit: Any) -> str:
    """Return counts with their unit, such as "3.2 of 8.1 MB"; empty where nothing is known."""
    if not _counts(current):
        return ""
    if unit == "B":
        power = _power(total if _counts(total) else current)
        figures = _plain(current / 1000**power)
        if _counts(total):
            figures += f" of {_plain(total / 1000**power)}"
        return f"{figures} {BYTES[power]}"
    figures = f"{_plain(current)} of {_plain(total)}" if _counts(total) else _plain(current)
    return f"{figures} {unit}" if isinstance(unit, str) and unit else figures


def rate(per_second: Any, unit: Any) -> str:
    """Return a pace, such as "41 MB/s"; empty where nothing is known."""
    if not _counts(per_second) or per_second <= 0:
        return ""
    if unit == "B":
        power = max(1, _power(per_second))
        return f"{_plain(per_second / 1000**power)} {BYTES[power]}/s"
    return f"{_plain(per_second)}{f' {unit}' if isinstance(unit, str) and unit else ''}/s"


def duration(seconds: Any) -> str:
    """Return a length of time by its two greatest units, such as "1 min 35 sec"."""
    if not _counts(seconds) or seconds < 0:
        return ""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if 0 < seconds < 10 and round(seconds, 1) != int(seconds):
        return f"{seconds:.1f} sec"
    rest = int(seconds)
    parts: list[str] = []
    first = next((n for n, (_, length) in enumerate(TIMES) if rest >= length), len(TIMES) - 1)
    for unit, length in TIMES[first : first + 2]:
        count, rest = divmod(rest, length)
        if count or not parts:
            parts.append(f"{count} {unit}")
    return " ".join(part for part in parts if len(parts) == 1 or not part.startswith("0 "))


def age(seconds: Any) -> str:
    """Return how old something is, by its greatest unit: "3 min"."""
    return " ".join(duration(int(max(0, seconds))).split()[:2]) if _counts(seconds) else ""


def _counts(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST


def _power(value: float) -> int:
    power = 0
    while value >= 1000 and power < len(BYTES) - 1:
        value, power = value / 1000, power + 1
    return power


def _plain(value: float) -> str:
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.1f}"
