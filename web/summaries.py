"""What a line of the job list shows of a job, and which jobs a filter lets through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.records import FINAL
from web import figures

#: How states are told, in the order of the filter: (group, word, its states).
GROUPS = (
    ("running", "Running", ("STARTED", "PROGRESS")),
    ("waiting", "Waiting", ("PENDING",)),
    ("retrying", "Trying again", ("RETRY",)),
    ("lost", "Worker lost", ("LOST",)),
    ("failed", "Failed", ("FAILURE",)),
    ("cancelled", "Cancelled", ("REVOKED",)),
    ("done", "Done", ("SUCCESS",)),
)
GROUP_OF = {state: group for group, _, states in GROUPS for state in states}
WORD_OF = {group: word for group, word, _ in GROUPS}

#: What the list's script gets of a state record.
KEYS = (
    "job", "rev", "run", "epoch", "task", "state", "message", "current", "total", "unit", "rate",
    "eta", "stage", "queued_at", "started_at", "updated_at", "ended_at", "next_at", "worker",
    "queue", "attempt", "user", "root", "error",
)  # fmt: skip
#: Where a search looks.
SEARCHED = ("job", "task", "message", "worker", "queue", "user", "stage")
MAX_QUERY = 200


@dataclass(frozen=True)
class Filter:
    """Which jobs are wanted, as the page's address says.

    Attributes:
        query: words that must all be in a job's texts.
        group: a group of states; empty: all.
    """

    query: str = ""
    group: str = ""

    @classmethod
    def of(cls, arguments: Mapping[str, str]) -> Filter:
        """Read an address's query; what it can't mean is left out."""
        group = arguments.get("state", "")
        return cls(arguments.get("q", "").strip()[:MAX_QUERY], group if group in WORD_OF else "")

    def lets_through(self, line: Line) -> bool:
        """Whether a job is wanted."""
        return self.group in ("", line.group) and self.finds(line)

    def finds(self, line: Line) -> bool:
        """Whether a job has all words, whatever its state."""
        text = line.searched
        return all(word in text for word in self.query.casefold().split())


@dataclass(frozen=True)
class Line:
    """A job in the list.

    Attributes:
        record: its state record.
        title: its task's name for people.
        now: the Unix second at which it is looked at.
    """

    record: Mapping[str, Any]
    title: str
    now: float

    @property
    def group(self) -> str:
        """The group of its state."""
        return GROUP_OF.get(self.record["state"], "waiting")

    @property
    def word(self) -> str:
        """Its state in a word."""
        return WORD_OF[self.group]

    @property
    def is_open(self) -> bool:
        """Whether it may still be stopped."""
        return self.record["state"] not in FINAL

    @property
    def part(self) -> float | None:
        """How far it is, 0 to 1; None where nobody knows."""
        return figures.part_of(self.record["current"], self.record["total"])

    @property
    def percent(self) -> int | None:
        """The same of a hundred, rounded down."""
        return None if self.part is None else int(self.part * 100 + 1e-9)

    @property
    def amount(self) -> str:
        """How far it is, in its unit."""
        record = self.record
        total = None if self.group == "done" else record["total"]
        return figures.amount(record["current"], total, record["unit"])

    @property
    def rate(self) -> str:
        """Its pace, while it runs."""
        running = self.group == "running"
        return figures.rate(self.record["rate"], self.record["unit"]) if running else ""

    @property
    def age(self) -> str:
        """How long ago it was queued, or began."""
        began = self.record["queued_at"] or self.record["started_at"]
        return figures.age(self.now - began) if began else ""

    @property
    def note(self) -> str:
        """What it says, or why it failed."""
        error = self.record["error"]
        if error and self.group in ("failed", "retrying"):
            return f"{error['type']}: {error['message']}"
        return self.record["message"] or self.record["stage"] or ""

    @property
    def searched(self) -> str:
        """All its texts, for a search."""
        texts = [self.title, self.note, *(str(self.record[key] or "") for key in SEARCHED)]
        return "\n".join(texts).casefold()


def counted(lines: Iterable[Line]) -> Counter[str]:
    """Count jobs by their group."""
    return Counter(line.group for line in lines)


def brief(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the list's script gets of a state record."""
    return {key: record.get(key) for key in KEYS}


def task_title(task: Any) -> str:
    """Return a task's name for people: ``tasks.import_rows`` is "Import rows"."""
    last = str(task or "task").rpartition(".")[2].replace("_", " ").strip()
    return f"{last[:1].upper()}{last[1:]}" or "Task"
