"""How fast a client sends, by a clock of the test's."""

from __future__ import annotations

import pytest

from bridge.relay import pace
from bridge.relay.pace import FLOOD_SECONDS, Pace


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def test_a_burst_then_the_rate(clock: Clock) -> None:
    paced = Pace(rate=5, burst=20)

    assert [paced.message("a") for _ in range(21)] == ["ok"] * 20 + ["too_many"]
    assert paced.message("b") == "ok", "each client has a window of its own"
    clock.now += 4.1
    assert [paced.message("a") for _ in range(21)] == ["ok"] * 20 + ["too_many"]


def test_the_rate_can_be_kept_up_for_ever(clock: Clock) -> None:
    paced = Pace(rate=5, burst=20)
    for _ in range(500):
        assert paced.message("a") == "ok"
        clock.now += 0.2001


def test_ten_times_the_rate_for_seconds_is_a_flood(clock: Clock) -> None:
    paced = Pace(rate=5, burst=20)
    verdicts = []
    for _ in range(60 * FLOOD_SECONDS):
        verdicts.append(paced.message("a"))
        clock.now += 1 / 60

    assert verdicts[-1] == "flood"
    assert verdicts.count("ok") <= 40


def test_nine_times_the_rate_is_only_too_many(clock: Clock) -> None:
    paced = Pace(rate=5, burst=20)
    for _ in range(45 * 20):
        assert paced.message("a") != "flood"
        clock.now += 1 / 45


def test_frames_without_messages_count_as_flood_only(clock: Clock) -> None:
    paced = Pace(rate=1, burst=3)
    verdicts = [paced.frame("a") for _ in range(34)]
    assert verdicts == ["ok"] * 33 + ["flood"]


def test_who_leaves_is_forgotten(clock: Clock) -> None:
    paced = Pace(rate=1, burst=3)
    for client in ("a", "b"):
        while paced.message(client) == "ok":
            pass

    paced.forget("a")

    assert paced.message("a") == "ok"
    assert paced.message("b") == "too_many"
    paced.forget("a")
    paced.forget("b")
    assert paced._storage.reset() == 0
