"""Load an uploaded CSV file into SQLite, row by row, and tell of every row that doesn't fit."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from bridge import Progress, push_progress
from workers.app import app
from workers.csv_rows import CsvFile, Rejected
from workers.uploads import taken

BATCH_ROWS = 500
MAX_REJECTED = 10_000


@app.task(name="workers.import_csv")
@push_progress(unit="B", result=True)
def import_csv(upload: str, name: str = "", *, progress: Progress) -> dict[str, Any]:
    """Load a CSV file into a SQLite database that lives as long as the job.

    Each row that doesn't fit is an event ``row_rejected`` with ``{line, reason}``.

    Args:
        upload: the uploaded file's name.
        name: what the file was called where it came from.
        progress: given by the bridge; it counts the bytes that are read.

    Returns:
        ``{name, columns, rows, rejected}``.

    Raises:
        ValueError: the file is not CSV at all, or more than 10,000 rows don't fit.
    """
    with (
        taken([upload]) as [path],
        tempfile.TemporaryDirectory() as folder,
        CsvFile(path) as table,
        Database(Path(folder, "rows.sqlite"), table.header) as database,
    ):
        progress.update(current=0, total=path.stat().st_size, message="Reading")
        rejected = load(table, database, progress)
        rows = database.count()
        progress.update(current=table.position, message=told(rows, rejected))
        return {"name": name, "columns": table.header, "rows": rows, "rejected": rejected}


def load(table: CsvFile, database: Database, progress: Progress) -> int:
    """Move all rows from the file into the database.

    Returns:
        How many rows were rejected.

    Raises:
        ValueError: too many rows were rejected to go on.
    """
    rows, rejected = 0, 0
    for batch in batches(table.rows()):
        accepted: list[Sequence[str]] = []
        for row in batch:
            if isinstance(row, Rejected):
                rejected += 1
                check_share(rejected, row)
                progress.emit("row_rejected", {"line": row.line, "reason": row.reason})
            else:
                accepted.append(row)
        database.add(accepted)
        rows += len(accepted)
        progress.update(current=table.position, message=told(rows, rejected))
    return rejected


def batches(rows: Iterator[list[str] | Rejected]) -> Iterator[list[list[str] | Rejected]]:
    """Yield the rows, several hundred at a time."""
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def check_share(rejected: int, last: Rejected) -> None:
    """Give up on a file that is not what it seems to be."""
    if rejected > MAX_REJECTED:
        raise ValueError(
            f"more than {MAX_REJECTED:,} rows were rejected, the last one is line {last.line} "
            f"({last.reason}): check that this is the right file"
        )


def told(rows: int, rejected: int) -> str:
    """Return the counts in words."""
    word = "row" if rows == 1 else "rows"
    return f"{rows:,} {word}" + (f", {rejected:,} rejected" if rejected else "")


class Database:
    """A SQLite table of texts that is filled row by row."""

    def __init__(self, path: Path, header: Sequence[str]) -> None:
        self._connection = sqlite3.connect(path)
        # The file is thrown away at the end, so nothing is lost by not waiting for the disk.
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        columns = ", ".join(f"{quoted(name)} TEXT" for name in header)
        self._connection.execute(f"CREATE TABLE rows ({columns})")
        marks = ", ".join("?" * len(header))
        self._insert = f"INSERT INTO rows VALUES ({marks})"

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """Insert rows; each has as many fields as the header."""
        self._connection.executemany(self._insert, rows)
        self._connection.commit()

    def count(self) -> int:
        """Return the number of rows in the table."""
        return int(self._connection.execute("SELECT count(*) FROM rows").fetchone()[0])

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()


def quoted(name: str) -> str:
    """Return a column's name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'
