from collections.abc import Callable
from typing import Any

import pytest

from bridge import Progress
from workers import csv_import
from workers.csv_import import import_csv
from workers.uploads import uploads_folder

Plain = Callable[[Any], Callable[..., Any]]
Upload = Callable[[bytes], str]
NASTY = (
    b"\xef\xbb\xbfid;name;\r\n"
    b'1;"semi;colon";x\r\n'
    b"2;too few\r\n"
    b'3;"two\r\nlines";y\r\n'
    b"\r\n"
    b"4;nul\x00;z\r\n"
    b"5;caf\xe9;z\r\n"
    b"6;one;too;many\r\n"
    b"7;'); DROP TABLE rows; --;z\r\n"
    b'8;"unclosed;z\r\n'
)


def test_a_nasty_file(upload: Upload, plain: Plain, progress: Progress, events: list[Any]) -> None:
    result = plain(import_csv)(upload(NASTY), "nasty.csv", progress=progress)
    assert result == {
        "name": "nasty.csv",
        "columns": ["id", "name", "column_3"],
        "rows": 2,
        "rejected": 6,
    }
    assert [(name, data["line"]) for name, data in events] == [
        ("row_rejected", line) for line in (3, 7, 8, 9, 10, 11)
    ]
    assert events[0][1]["reason"] == "2 columns where the header has 3"
    record = progress.record(0)
    assert record["current"] == record["total"] == len(NASTY)
    assert record["message"] == "2 rows, 6 rejected"
    assert list(uploads_folder().iterdir()) == []


def test_column_names_cannot_break_out(upload: Upload, plain: Plain, progress: Progress) -> None:
    evil = b'"a"" TEXT); DROP TABLE rows; --",b\n1,2\n'
    assert plain(import_csv)(upload(evil), progress=progress)["rows"] == 1


def test_as_many_columns_as_allowed(upload: Upload, plain: Plain, progress: Progress) -> None:
    wide = ",".join(f"c{n}" for n in range(200)).encode()
    assert plain(import_csv)(upload(wide + b"\n" + wide), progress=progress)["rows"] == 1


def test_many_rows_in_batches(upload: Upload, plain: Plain, progress: Progress) -> None:
    content = b"a,b\n" + b"1,2\n" * 12_345
    assert plain(import_csv)(upload(content), progress=progress)["rows"] == 12_345


def test_a_file_of_rubbish_is_given_up(
    upload: Upload, plain: Plain, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_import, "MAX_REJECTED", 10)
    with pytest.raises(
        ValueError, match=r"more than 10 rows were rejected, the last one is line 12"
    ):
        plain(import_csv)(upload(b"a,b\n" + b"1\n" * 50), progress=progress)
    assert list(uploads_folder().iterdir()) == []


def test_a_picture_is_refused(upload: Upload, plain: Plain, progress: Progress) -> None:
    with pytest.raises(ValueError, match="the header"):
        plain(import_csv)(upload(b"\x89PNG\r\n\x1a\n" + bytes(100)), progress=progress)
