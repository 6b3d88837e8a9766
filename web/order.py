"""In which order the job list stands, by the page's address; `static/order.js` says the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from web.summaries import GROUPS, Line

#: Columns that a list can be put in order by: (name in an address, title).
COLUMNS = (
    ("state", "State"),
    ("job", "Job"),
    ("progress", "Progress"),
    ("worker", "Worker"),
    ("rate", "Rate"),
    ("tries", "Tries"),
    ("age", "Age"),
)
#: Each order in words, the first is the one without any.
CHOICES = (
    ("", "Newest first"),
    ("-age", "Oldest first"),
    ("-progress", "Furthest first"),
    ("progress", "Least far first"),
    ("-rate", "Fastest first"),
    ("rate", "Slowest first"),
    ("-tries", "Most tries first"),
    ("tries", "Fewest tries first"),
    ("job", "Names from A to Z"),
    ("-job", "Names from Z to A"),
    ("worker", "Workers from A to Z"),
    ("-worker", "Workers from Z to A"),
    ("state", "Running first"),
    ("-state", "Done first"),
)
#: Of these one looks for the greatest.
_GREATEST_FIRST = frozenset({"progress", "rate", "tries"})
_PLACES = {group: place for place, (group, _, _) in enumerate(GROUPS)}


@dataclass(frozen=True)
class Order:
    """An order of jobs.

    Attributes:
        column: what they are put in order by.
        falling: whether the greatest comes first; who has no value comes last in both.
    """

    column: str = "age"
    falling: bool = False

    @classmethod
    def of(cls, arguments: Mapping[str, str]) -> Order:
        """Read an address's query; what it can't mean is left out."""
        asked = arguments.get("sort", "")
        if not asked or asked not in dict(CHOICES):
            return cls()
        return cls(asked.removeprefix("-"), asked.startswith("-"))

    @property
    def name(self) -> str:
        """What an address calls it; empty: the usual one."""
        return "" if self == Order() else f"{'-' if self.falling else ''}{self.column}"

    def by(self, column: str) -> Order:
        """Return the order that a column's title leads to: its own, or that turned round."""
        falling = not self.falling if column == self.column else column in _GREATEST_FIRST
        return Order(column, falling)

    def aria_sort(self, column: str) -> str | None:
        """Return how a column stands, for those who hear it; None: the order is not by it."""
        if column != self.column:
            return None
        return "descending" if self.falling else "ascending"

    def put(self, lines: Sequence[Line]) -> list[Line]:
        """Put lines in order.

        Args:
            lines: the newest first; those of one value stay so.
        """
        if self.column == "age":
            return list(reversed(lines)) if self.falling else list(lines)
        valued = [(_value(line, self.column), line) for line in lines]
        known = [(value, line) for value, line in valued if value not in (None, "")]
        known.sort(key=lambda each: each[0], reverse=self.falling)
        return [line for _, line in known] + [line for value, line in valued if value in (None, "")]


def _value(line: Line, column: str) -> str | float | None:
    """Return what a line is put in order by."""
    record = line.record
    if column == "state":
        return _PLACES[line.group]
    if column == "job":
        return line.title.casefold()
    if column == "progress":
        return line.part
    if column == "worker":
        return (record["worker"] or "").casefold()
    if column == "rate":
        return record["rate"] if line.rate else None
    return record["attempt"] + 1 if record["run"] or record["attempt"] else None
