from __future__ import annotations

import pytest

from bridge.sender.estimate import Estimator


def test_a_steady_pace_gives_its_rate_from_the_first_sample_on() -> None:
    estimator = Estimator()
    assert estimator.rate is None
    for second in range(5):
        estimator.sample(float(second), 10.0 * second)
        if second:
            assert estimator.rate == pytest.approx(10)
    assert estimator.eta(100) == pytest.approx(6)


def test_a_tiny_interval_counts_little() -> None:
    estimator = Estimator()
    estimator.sample(0, 0)
    estimator.sample(10, 100)
    estimator.sample(10.001, 101)
    assert estimator.rate == pytest.approx(10, rel=0.03)


def test_it_follows_a_change_of_pace_smoothly() -> None:
    estimator = Estimator()
    estimator.sample(0, 0)
    estimator.sample(10, 100)
    estimator.sample(12, 100)
    assert estimator.rate is not None
    assert 5 < estimator.rate < 10
    estimator.sample(60, 100)
    assert estimator.rate == pytest.approx(0, abs=0.01)


def test_going_back_starts_anew() -> None:
    estimator = Estimator()
    estimator.sample(0, 0)
    estimator.sample(1, 10)
    estimator.sample(2, 0)
    assert estimator.rate is None
    assert estimator.eta(10) is None


def test_without_a_total_there_is_no_time_left() -> None:
    estimator = Estimator()
    estimator.sample(0, 0)
    estimator.sample(1, 10)
    assert estimator.eta(None) is None
    assert estimator.eta(5) == 0
