"""Read a CSV file that a stranger made, in bounded memory, and say what is wrong with each row."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_COLUMNS = 200
MAX_LINE_BYTES = 65_536
MAX_NAME_LENGTH = 100
DELIMITERS = ",;\t|"
TOO_LONG = f"the line is longer than {MAX_LINE_BYTES:,} bytes"


@dataclass(frozen=True)
class Rejected:
    """A row that can't be taken: the line where it starts, counted from 1, and why."""

    line: int
    reason: str


class CsvFile:
    """A CSV file in UTF-8 with a header; the delimiter is one of ``, ; | tab``.

    Attributes:
        header: the columns' names, none empty, none twice.
        position: bytes read so far.

    Raises:
        ValueError: the file is empty, is not UTF-8, or its header can't be used.
    """

    def __init__(self, path: Path) -> None:
        self.position = 0
        self._line = 0
        self._too_long = 0
        self._file = path.open("rb")
        try:
            first = self._first_line()
            self._reader = csv.reader(self._lines(first), delimiter=delimiter(first), strict=True)
            self.header = self._header()
        except BaseException:
            self._file.close()
            raise

    def rows(self) -> Iterator[list[str] | Rejected]:
        """Yield each row after the header, or why it is rejected. Empty lines are passed over."""
        while True:
            line = self._line + 1
            try:
                row = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Rejected(line, self._told(error))
                continue
            reason = self._flaw(row, line)
            if reason:
                yield Rejected(line, reason)
            elif row:
                yield row

    def _first_line(self) -> str:
        raw = self._read_line()
        if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ValueError("the file is UTF-16: save it as UTF-8 and upload it again")
        text = raw.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
        if self._too_long:
            raise ValueError(f"line 1: {TOO_LONG}: is this a CSV file?")
        return text

    def _lines(self, first: str) -> Iterator[str]:
        if first:
            yield first
        while raw := self._read_line():
            # Bytes that are no UTF-8 are carried as surrogates and found in the finished row.
            yield raw.decode("utf-8", "surrogateescape")

    def _read_line(self) -> bytes:
        """Return the next line, or an empty one in the place of one that is too long."""
        raw = self._file.readline(MAX_LINE_BYTES + 1)
        self.position += len(raw)
        self._line += bool(raw)
        if len(raw) <= MAX_LINE_BYTES or raw.endswith(b"\n"):
            return raw
        self._too_long = self._line
        while (rest := self._file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
            self.position += len(rest)
        self.position += len(rest)
        return b"\n"

    def _header(self) -> list[str]:
        try:
            names = next(self._reader, [])
        except csv.Error as error:
            raise ValueError(f"the header: {self._told(error)}") from None
        if not any(name.strip() for name in names):
            raise ValueError("the file's first line is empty: a header with the columns is needed")
        flaw = unfit(names)
        if flaw:
            raise ValueError(f"the header {flaw}")
        if len(names) > MAX_COLUMNS:
            raise ValueError(f"the header has {len(names):,} columns, {MAX_COLUMNS} are allowed")
        return distinct(names)

    def _flaw(self, row: list[str], line: int) -> str | None:
        if line <= self._too_long <= self._line:
            return TOO_LONG
        if not row:
            return None
        flaw = unfit(row)
        if flaw:
            return flaw
        if len(row) != len(self.header):
            word = "column" if len(row) == 1 else "columns"
            return f"{len(row)} {word} where the header has {len(self.header)}"
        return None

    def _told(self, error: csv.Error) -> str:
        text = str(error)
        if "NUL" in text:
            return "holds a NUL byte"
        if "limit" in text:
            return f"a field is longer than {csv.field_size_limit():,} characters"
        if "end of data" in text:
            return "a quote is opened and never closed"
        if "new-line" in text:
            return "lines end in bare carriage returns: save the file with usual line ends"
        return f"a quote in the wrong place ({text})"

    def __enter__(self) -> CsvFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()


def delimiter(header: str) -> str:
    """Return what stands between the columns: the commonest candidate outside of quotes."""
    return max(DELIMITERS, key=re.sub(r'"[^"]*"', "", header).count)


def unfit(fields: list[str]) -> str | None:
    """Return what is wrong with the characters of these fields, or None."""
    text = "".join(fields)
    if "\0" in text:
        return "holds a NUL byte"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "is not UTF-8"
    return None


def distinct(names: list[str]) -> list[str]:
    """Return column names of which none is empty, too long, or there twice in SQLite's eyes."""
    seen: set[str] = set()
    result = []
    for number, name in enumerate(names, 1):
        candidate = name.strip()[:MAX_NAME_LENGTH] or f"column_{number}"
        if candidate.casefold() in seen:
            candidate = f"{candidate}_{number}"
        while candidate.casefold() in seen:
            candidate += "_"
        seen.add(candidate.casefold())
        result.append(candidate)
    return result
