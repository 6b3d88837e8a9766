"""Figures of alternating rounds: ratios, their spread, JSON for each subject, tables for people."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass
class Goal:
    """One goal of the project and what was measured.

    Attributes:
        number: the goal's in the issue, e.g. ``1``.
        text: what it asks.
        limit: the bound.
        measured: the median; low, high: its range over the rounds.
        at_least: whether `limit` is a lower bound.
    """

    number: int
    text: str
    limit: float
    measured: float
    low: float
    high: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        if self.at_least:
            return self.measured >= self.limit
        return self.measured <= self.limit


@dataclass
class Subject:
    """What one benchmark found: tables and goals.

    Attributes:
        name: the module's; title: for people.
        tables: each a title, a head and rows.
        goals: measured against the issue's.
        command: how it was run; notes: what to know when reading.
    """

    name: str
    title: str
    tables: list[tuple[str, list[str], list[list[str]]]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    date: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    command: str = ""

    def table(self, title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        self.tables.append((title, list(head), [[str(cell) for cell in row] for row in rows]))

    def goal(
        self, number: int, text: str, limit: float, values: Sequence[float],
        *, at_least: bool = False,
    ) -> None:  # fmt: skip
        middle = statistics.median(values)
        self.goals.append(Goal(number, text, limit, middle, min(values), max(values), at_least))

    def save(self) -> None:
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (RESULTS / f"{self.name}.json").write_text(text + "\n")


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Round by round, because what ran within the same seconds met the same machine."""
    return [a / b if b else float("inf") for a, b in zip(ours, theirs, strict=True)]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median, and the range."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def alternate(
    rounds: int, names: Sequence[str], measure: Callable[[str], dict[str, float]]
) -> dict[str, dict[str, list[float]]]:
    """Measure each contestant in turn, round by round: {contestant: {figure: [each round]}}."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for _ in range(rounds):
        for name in names:
            for figure, value in measure(name).items():
                found[name].setdefault(figure, []).append(value)
    return found


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def load_all(names: Sequence[str]) -> list[Subject]:
    """What was found so far, in order."""
    found = []
    for name in names:
        path = RESULTS / f"{name}.json"
        if path.exists():
            raw: dict[str, Any] = json.loads(path.read_text())
            raw["goals"] = [Goal(**goal) for goal in raw["goals"]]
            found.append(Subject(**raw))
    return found
