"""A job's attempts on one axis of time, and the stages of the last one: what the picture shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.records import FINAL, RETRY
from web import figures
from web.summaries import GROUP_OF

ENDS = {
    "SUCCESS": "done",
    "FAILURE": "failed",
    "REVOKED": "cancelled",
    "RETRY": "failed",
    "LOST": "its worker was lost",
}
#: What is too short to be seen is drawn this wide, in per cent.
LEAST = 0.6
#: Between two ticks, in seconds.
STEPS = (
    *(scale * digit for scale in (0.001, 0.01, 0.1, 1) for digit in (1, 2, 5)),
    *(10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400),
)


@dataclass(frozen=True)
class Bar:
    """Something that lasted.

    Attributes:
        kind: how it looks: a group of states, ``queued``, ``pause`` or ``next``.
        start: where it begins, in per cent of the axis; width: how long it is.
    """

    kind: str
    start: float
    width: float


@dataclass(frozen=True)
class Lane:
    """One line of the picture.

    Attributes:
        name: such as "Try 2".
        told: the same in words, for who doesn't see the picture.
        bars: what is drawn.
    """

    name: str
    told: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Timeline:
    """The picture.

    Attributes:
        lanes: the wait in the queue and each run, in order.
        ticks: what stands below the axis: (where, in per cent; what).
    """

    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]

    @classmethod
    def of(cls, record: Mapping[str, Any], now: float) -> Timeline:
        """Draw a job.

        Args:
            record: its state record.
            now: the Unix second at which it is looked at.
        """
        runs = [run for run in record["runs"] if run.get("started_at")]
        began = record["queued_at"] or (runs[0]["started_at"] if runs else now)
        over = record["state"] in FINAL
        ended = (record["ended_at"] or record["updated_at"] or now) if over else now
        if record["state"] == RETRY and record["next_at"]:
            ended = max(ended, record["next_at"])
        axis = _Axis(began, max(ended, began + 0.001))
        lanes = [_queue(record, runs, axis, now)] if record["queued_at"] else []
        for number, run in enumerate(runs):
            before = runs[number - 1].get("ended_at") if number else None
            lanes.append(_run(run, before, number, axis, now))
        if record["state"] == RETRY and record["next_at"] and runs:
            lanes.append(_next_try(record, runs[-1], axis, now))
        return cls(tuple(lane for lane in lanes if lane.bars), axis.ticks)


@dataclass(frozen=True)
class Stage:
    """A part of a run.

    Attributes:
        name: its name; group: its state; percent: how far it is, None where nobody knows.
        start: where it begins, in per cent of the whole; width: its share; done: the part done.
        told: how far it is, in words.
    """

    name: str
    group: str
    percent: int | None
    start: float
    width: float
    done: float
    told: str


def stages_of(record: Mapping[str, Any]) -> list[Stage]:
    """Return the stages of a job's last run, each as wide as its weight."""
    found = [each for each in record["stages"] if isinstance(each.get("weight"), int | float)]
    whole = sum(each["weight"] for each in found) or 1
    stages, start = [], 0.0
    for each in found:
        group = GROUP_OF.get(each["state"], "running")
        part = 1.0 if group == "done" else figures.part_of(each["current"], each["total"])
        width = each["weight"] / whole * 100
        told = figures.amount(each["current"], each["total"], record["unit"])
        percent = None if part is None else int(part * 100)
        done = round(width * (part or 0), 2)
        stages.append(
            Stage(each["name"], group, percent, round(start, 2), round(width, 2), done, told)
        )
        start += width
    return stages


@dataclass(frozen=True)
class _Axis:
    begin: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.begin

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Round lengths of time, at the most six."""
        step = next((each for each in STEPS if self.length / each <= 5), self.length)
        count = int(self.length / step + 1e-9)
        return tuple(
            (round(number * step / self.length * 100, 2), figures.duration(number * step))
            for number in range(count + 1)
        )

    def bar(self, kind: str, start: float, end: float) -> Bar:
        left = min(100 - LEAST, max(0.0, (start - self.begin) / self.length * 100))
        right = min(100.0, (end - self.begin) / self.length * 100)
        return Bar(kind, round(left, 2), round(max(LEAST, right - left), 2))


def _queue(record: Mapping[str, Any], runs: list[Any], axis: _Axis, now: float) -> Lane:
    until = runs[0]["started_at"] if runs else (record["ended_at"] or now)
    waited = figures.duration(max(0.0, until - record["queued_at"]))
    return Lane(
        "Queue",
        f"waited {waited}" if runs or record["ended_at"] else f"waiting for {waited}",
        (axis.bar("queued", record["queued_at"], until),),
    )


def _run(run: Mapping[str, Any], before: Any, number: int, axis: _Axis, now: float) -> Lane:
    start, end = run["started_at"], run.get("ended_at")
    bars = [axis.bar("pause", before, start)] if before and start - before > 0.001 else []
    # A run that was lost has no end of its own.
    bars.append(axis.bar(GROUP_OF.get(run["state"], "running"), start, end or now))
    took = figures.duration(max(0.0, (end or now) - start))
    how = ENDS.get(run["state"])
    told = f"{how} after {took}" if how and end else how or f"running for {took}"
    return Lane(
        f"Try {run['attempt'] + 1}" if number == run["attempt"] else f"Run {run['run']}",
        f"{told}, to be tried again" if run["state"] == RETRY else told,
        tuple(bars),
    )


def _next_try(record: Mapping[str, Any], last: Mapping[str, Any], axis: _Axis, now: float) -> Lane:
    left = record["next_at"] - now
    since = last.get("ended_at") or now
    told = f"in {figures.duration(left)}" if left >= 1 else "any moment"
    return Lane("Next try", told, (axis.bar("next", since, record["next_at"]),))
