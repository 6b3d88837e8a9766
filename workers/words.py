"""Count the words of uploaded texts."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge import Progress, push_progress
from workers.app import app
from workers.uploads import taken

CHUNK_BYTES = 65_536
MAX_DISTINCT = 100_000
MAX_WORD = 100
TOP = 10
WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")


@app.task(name="workers.count_words")
@push_progress(unit="B", result=True)
def count_words(
    uploads: list[str], names: list[str] | None = None, *, progress: Progress
) -> dict[str, Any]:
    """Count the words of uploaded texts. Each finished file is an event ``file_counted``.

    Args:
        uploads: the uploaded files' names.
        names: what the files were called where they came from, in the same order.
        progress: given by the bridge; it counts the bytes that are read.

    Returns:
        ``{files, words, distinct, top}``; ``top`` holds the ten commonest words with their counts.
    """
    counts: Counter[str] = Counter()
    total, done = 0, 0
    with taken(uploads) as paths:
        titles = titled(names, len(paths))
        progress.update(current=0, total=sum(path.stat().st_size for path in paths))
        for path, title in zip(paths, titles, strict=True):
            progress.update(message=title)
            words = 0
            for found, size in words_of(path):
                words += len(found)
                tally(counts, found)
                done += size
                progress.update(current=done)
            total += words
            progress.emit("file_counted", {"name": title, "words": words})
        progress.update(message=f"{total:,} words")
    return {
        "files": len(titles),
        "words": total,
        "distinct": len(counts),
        "top": [[word, count] for word, count in counts.most_common(TOP)],
    }


def titled(names: list[str] | None, count: int) -> list[str]:
    """Return a title for each file: the name it came with, else its number."""
    given = [str(name) for name in names or []][:count]
    return [*given, *(f"text {number}" for number in range(len(given) + 1, count + 1))]


def words_of(path: Path) -> Iterator[tuple[list[str], int]]:
    """Yield the lower-case words of a text, chunk by chunk, with the bytes that were read."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    tail = ""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            text, tail = cut(tail + decoder.decode(chunk))
            yield words_in(text), len(chunk)
    yield words_in(tail + decoder.decode(b"", final=True)), 0


def cut(text: str) -> tuple[str, str]:
    """Cut a text at its last space: what is whole, and a word that may go on in the next chunk.

    A text without any space is whole when it is longer than a chunk.
    """
    if text[-1:].isspace() or (len(text) > CHUNK_BYTES and not re.search(r"\s", text)):
        return text, ""
    tail = (text.rsplit(None, 1) or [""])[-1]
    return text[: len(text) - len(tail)], tail


def words_in(text: str) -> list[str]:
    """Return the words of a text in lower case, each cut after 100 characters."""
    return [word[:MAX_WORD] for word in WORD.findall(text.lower())]


def tally(counts: Counter[str], words: list[str]) -> None:
    """Add words to the counts; beyond 100,000 different ones, only those that are known."""
    for word in words:
        if word in counts or len(counts) < MAX_DISTINCT:
            counts[word] += 1
