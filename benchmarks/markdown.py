"""The results as a page: goals first, then each subject's tables."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.goals import GOALS, reason
from benchmarks.report import Goal, Subject

PAGE = Path(__file__).parent / "results.md"
_PACKAGES = (
    "celery-bridge", "Flask-SocketIO", "python-socketio", "python-engineio", "eventlet", "gevent",
    "celery", "redis", "hiredis", "tqdm", "rich", "celery-progress",
)  # fmt: skip


def versions() -> dict[str, str]:
    found = {"Python": platform.python_version(), "Linux": platform.release()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    for program in ("node", "redis-server"):
        try:
            told = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
            found[program] = next(
                w for w in told.replace("v=", "v").split() if w[0] in "v123456789"
            )
        except (OSError, StopIteration):
            found[program] = "not installed"
    found["cores"] = str(os.cpu_count())
    return found


def write(subjects: Sequence[Subject]) -> None:
    goals = [(subject, goal) for subject in subjects for goal in subject.goals]
    met = sum(goal.met for _, goal in goals)
    unmeasured = sorted(set(GOALS) - {goal.number for _, goal in goals})
    seconds = sum(subject.seconds for subject in subjects)
    lines = [
        "# Results", "",
        "Made by `make bench`; each subject's figures lie in `benchmarks/results/` as JSON, and "
        "[README.md](README.md) says how to read them. Only ratios mean anything elsewhere. "
        f"The {len(subjects)} subjects below took {seconds / 60:.1f} minutes.", "",
        f"## Goals: {met} of {len(goals)} rows met", "",
        "The median of the rounds, in brackets the lowest and the highest. Where a goal is missed, "
        "the reason and what it would take stand [below](#why-goals-are-missed).", "",
    ]  # fmt: skip
    for number, told in GOALS.items():
        rows = [(subject, goal) for subject, goal in goals if goal.number == number]
        lines += [f"### {number}. {told[0].upper()}{told[1:]}", ""]
        if number in unmeasured:
            lines += ["Not measured yet.", ""]
            continue
        head = ["what", "bound", "measured (range)", "", "subject"]
        lines += [*grid(head, [goal_row(subject, goal) for subject, goal in rows]), ""]
    lines += ["## Why goals are missed", "", *_reasons(goals), ""]
    for subject in subjects:
        lines += [f"## {subject.title}", "", *lines_of(subject)]
        told = ", ".join(f"{name} {number}" for name, number in subject.versions.items())
        lines += [f"`{subject.command}`, {subject.date}, {subject.seconds:.0f} s. {told}.", ""]
    PAGE.write_text("\n".join(lines))


def _reasons(goals: Sequence[tuple[Subject, Goal]]) -> list[str]:
    """Each reason once, with the rows that it is for."""
    found: dict[tuple[int, str], list[str]] = {}
    for _, goal in sorted(goals, key=lambda pair: pair[1].number):
        if not goal.met:
            why = reason(goal.number, goal.text) or "No reason is known yet."
            found.setdefault((goal.number, why), []).append(goal.text)
    return [
        f"- **{number}**: {'; '.join(rows)}. {why}" for (number, why), rows in found.items()
    ] or ["None is."]


def lines_of(subject: Subject) -> list[str]:
    lines: list[str] = []
    for title, head, rows in subject.tables:
        lines += [f"### {title}", "", *grid(head, rows), ""]
    return [*lines, *subject.notes, ""]


def goal_row(subject: Subject, goal: Goal) -> list[str]:
    sign = ">=" if goal.at_least else "<="
    figure = _figure(goal.measured)
    if (goal.low, goal.high) != (goal.measured, goal.measured):
        figure += f" ({_figure(goal.low)} to {_figure(goal.high)})"
    return [
        goal.text, f"{sign} {goal.limit:g}", figure, "met" if goal.met else "**missed**",
        subject.name,
    ]  # fmt: skip


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _figure(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
