from collections.abc import Callable
from pathlib import Path

import pytest

from workers.csv_rows import MAX_COLUMNS, MAX_LINE_BYTES, CsvFile, Rejected, distinct

Read = Callable[[bytes], tuple[list[str], list[list[str]], list[Rejected]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(content: bytes) -> tuple[list[str], list[list[str]], list[Rejected]]:
        path = tmp_path / "file.csv"
        path.write_bytes(content)
        with CsvFile(path) as table:
            rows = list(table.rows())
            assert table.position == len(content), "not everything was counted as read"
            good = [row for row in rows if isinstance(row, list)]
            return table.header, good, [row for row in rows if isinstance(row, Rejected)]

    return read


def test_a_plain_file(read: Read) -> None:
    assert read(b"a,b\n1,2\n3,4\n") == (["a", "b"], [["1", "2"], ["3", "4"]], [])


@pytest.mark.parametrize(
    ("content", "header", "rows"),
    [
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n", ["a", "b"], [["1", "2"]]),
        (b"a;b\n1,5;2\n", ["a", "b"], [["1,5", "2"]]),
        (b"a\tb\n1\t2", ["a", "b"], [["1", "2"]]),
        (b"a|b\n1|2\n", ["a", "b"], [["1", "2"]]),
        (b"one\n1\n2\n", ["one"], [["1"], ["2"]]),
        (b'a,b\n"x ""y""","1\n2"\n', ["a", "b"], [['x "y"', "1\n2"]]),
        (b"a,b\n\n1,2\n\n\n", ["a", "b"], [["1", "2"]]),
        ("näme,b\nЖ,日本\n".encode(), ["näme", "b"], [["Ж", "日本"]]),
        (b"a,,a,A\n1,2,3,4\n", ["a", "column_2", "a_3", "A_4"], [["1", "2", "3", "4"]]),
        (b"only,a,header\n", ["only", "a", "header"], []),
        (b'"two\nlines",b\n1,2\n', ["two\nlines", "b"], [["1", "2"]]),
    ],
    ids=[
        "byte order mark", "semicolons", "tabs", "bars", "one column", "quotes",
        "empty lines", "letters", "odd header", "no rows", "quoted header",
    ],
)  # fmt: skip
def test_files_that_are_fine(
    read: Read, content: bytes, header: list[str], rows: list[object]
) -> None:
    assert read(content) == (header, rows, [])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1\n", "1 column where the header has 2"),
        (b"1,2,3\n", "3 columns where the header has 2"),
        (b"1,\x00\n", "holds a NUL byte"),
        (b"caf\xe9,2\n", "is not UTF-8"),
        (b"\xed\xa0\x80,2\n", "is not UTF-8"),
        (b'1,"x"y\n', "a quote in the wrong place"),
        (b"1," + b"x" * MAX_LINE_BYTES + b"\n", "the line is longer than 65,536 bytes"),
        (b"," * 60_000 + b"\n", "60001 columns"),
        (b"a\rb,2\n", "carriage returns"),
    ],
    ids=["few", "many", "NUL", "latin-1", "surrogate", "quote", "long", "commas", "returns"],
)
def test_a_bad_row_is_rejected_and_the_rest_is_read(read: Read, row: bytes, reason: str) -> None:
    _, rows, rejected = read(b"a,b\n1,2\n" + row + b"8,9\n")
    assert rows == [["1", "2"], ["8", "9"]]
    assert [r.line for r in rejected] == [3]
    assert reason in rejected[0].reason


def test_a_quote_that_is_never_closed_swallows_the_rest_and_is_told(read: Read) -> None:
    _, rows, rejected = read(b'a,b\n1,2\n"3,4\n5,6\n')
    assert rows == [["1", "2"]]
    assert rejected == [Rejected(3, "a quote is opened and never closed")]


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(read: Read) -> None:
    _, rows, rejected = read(b'a,b\n"' + b"3,4\n" * 100_000)
    assert "a field is longer than 131,072 characters" in rejected[0].reason
    assert rows[-1] == ["3", "4"]


def test_a_line_that_is_too_long_inside_quotes_rejects_its_row(read: Read) -> None:
    long = b"x" * (MAX_LINE_BYTES * 3)
    _, rows, rejected = read(b'a,b\n"1\n' + long + b'\n",2\n8,9\n')
    assert rejected == [Rejected(2, "the line is longer than 65,536 bytes")]
    assert rows == [["8", "9"]]


def test_a_line_that_is_just_not_too_long(read: Read) -> None:
    row = b"1," + b"x" * (MAX_LINE_BYTES - 3) + b"\n"
    assert len(row) == MAX_LINE_BYTES
    assert read(b"a,b\n" + row)[2] == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "first line is empty"),
        (b"\n1,2\n", "first line is empty"),
        (b" , \n1,2\n", "first line is empty"),
        (b"\xef\xbb\xbf", "first line is empty"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16: save it as UTF-8"),
        (b"\xff\xd8\xff\xe0\n", "the header is not UTF-8"),
        (b"a,\x00\n", "the header holds a NUL byte"),
        (b"x" * 100_000, "line 1: the line is longer than"),
        (b"c," * MAX_COLUMNS + b"c\n", "201 columns, 200 are allowed"),
        (b'"a,b\n1,2\n', "a quote is opened and never closed"),
    ],
    ids=[
        "empty", "empty line", "blanks", "only a mark", "utf-16", "jpeg", "NUL", "long", "wide",
        "quote",
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_refused(read: Read, content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read(content)


def test_column_names_are_never_the_same_for_sqlite() -> None:
    assert distinct(["a", "a_2", "A", "a", "x" * 150])[:4] == ["a", "a_2", "A_3", "a_4"]
    names = distinct(["b", "b_3", "b", "B_3"] * 20)
    assert len({name.casefold() for name in names}) == len(names)
