"""The node's one reader: what many ask for at once is read once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bridge.records import Reading
from bridge.relay.reader import Reader
from tests.conftest import wait_until

CLIENTS = 60


class Journal:
    """Answers when it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[tuple[str, int]]] = []
        self.may_answer = threading.Event()

    def read(self, requests: Sequence[tuple[str, int]]) -> list[Reading]:
        self.asked.append(list(requests))
        self.may_answer.wait(10)
        return [Reading({"job": job}, [], False, since) for job, since in requests]


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def reader(journal: Journal) -> Iterator[Reader]:
    reader = Reader(journal)  # type: ignore[arg-type]
    reader.start()
    yield reader
    journal.may_answer.set()
    reader.stop()


def test_a_storm_is_read_in_few_trips_and_each_job_once_a_trip(
    reader: Reader, journal: Journal
) -> None:
    with ThreadPoolExecutor(CLIENTS) as clients:
        first = clients.submit(reader.read, [("first", 0)])
        wait_until(lambda: journal.asked)
        others = [clients.submit(reader.read, [(f"job-{n % 3}", 0)]) for n in range(CLIENTS)]
        wait_until(lambda: reader._errands.qsize() == CLIENTS - 1)  # one had no thread yet

        journal.may_answer.set()

        answers: list[Any] = [other.result(10) for other in others]
    assert first.result()[0].snapshot == {"job": "first"}
    assert [answer[0].snapshot["job"] for answer in answers] == [
        f"job-{n % 3}" for n in range(CLIENTS)
    ]
    assert journal.asked[1] == [("job-0", 0), ("job-1", 0), ("job-2", 0)]
    assert len(journal.asked) <= 3


def test_who_asks_after_a_storm_waits_for_the_tick_and_who_asks_alone_does_not(
    reader: Reader, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.may_answer.set()
    slept: list[float] = []
    monkeypatch.setattr("bridge.relay.reader.time.sleep", slept.append)

    for _ in range(3):
        reader.read([("job", 0)])
    assert set(slept) == {0.0}

    monkeypatch.setattr("bridge.relay.reader._MANY", 1)
    reader.read([("job", 0)])
    reader.read([("job", 0)])
    assert slept[-1] > 0
