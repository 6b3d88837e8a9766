from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge import Progress
from workers import words
from workers.uploads import uploads_folder
from workers.words import CHUNK_BYTES, count_words, cut, words_of

Plain = Callable[[Any], Callable[..., Any]]
Upload = Callable[[bytes], str]


def test_several_texts(upload: Upload, plain: Plain, progress: Progress, events: list[Any]) -> None:
    uploads = [upload("The cat\u2019s hat; the CAT.".encode()), upload(b"the end\xff\n")]
    result = plain(count_words)(uploads, ["one.txt"], progress=progress)
    assert result["files"] == 2
    assert result["words"] == 7
    assert result["top"][0] == ["the", 3]
    assert ["cat\u2019s", 1] in result["top"]
    assert [data["name"] for _, data in events] == ["one.txt", "text 2"]
    assert [data["words"] for _, data in events] == [5, 2]
    record = progress.record(0)
    assert record["current"] == record["total"]
    assert list(uploads_folder().iterdir()) == []


@pytest.mark.parametrize("size", [CHUNK_BYTES - 2, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_a_word_across_two_chunks_is_one_word(tmp_path: Path, size: int) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"x" * (size - 3) + "  straße and more".encode())
    found = [word for words, _ in words_of(path) for word in words]
    assert found == ["x" * 100, "straße", "and", "more"]


def test_a_text_without_spaces_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"x" * 1_000_000)
    assert sum(size for _, size in words_of(path)) == 1_000_000
    assert max(len(tail) for tail in (cut("y" * n)[1] for n in (1, CHUNK_BYTES * 2))) <= CHUNK_BYTES


@pytest.mark.parametrize(
    ("text", "parts"),
    [("", ("", "")), ("a b", ("a ", "b")), ("a b ", ("a b ", "")), ("ab", ("", "ab"))],
)
def test_cut(text: str, parts: tuple[str, str]) -> None:
    assert cut(text) == parts


def test_different_words_are_bounded(
    upload: Upload, plain: Plain, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "MAX_DISTINCT", 3)
    result = plain(count_words)([upload(b"a b c d e a d")], progress=progress)
    assert (result["words"], result["distinct"]) == (7, 3)
    assert dict(result["top"]) == {"a": 2, "b": 1, "c": 1}
