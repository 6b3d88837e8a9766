"""The soak in short: one small round, always the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.evidence import Death
from tests.faults.ledger import Execution, Truth
from tests.faults.soak import LOST_FINAL, Soak, possible_finals
from tests.faults.stack import running_stack


@pytest.mark.redis
@pytest.mark.e2e
@pytest.mark.timeout(150)
def test_a_round_of_random_faults_breaks_no_promise(tmp_path: Path) -> None:
    with running_stack(tmp_path, lost_final=LOST_FINAL) as stack:
        soak = Soak(stack, seed=11, seconds=6, jobs=8, faults=5, sparing="the worker is")
        assert not soak.round(), soak.tally.report()
        assert soak.tally.jobs == 8
        assert soak.tally.faults.total() == 5


def test_a_killed_job_may_end_as_it_said_or_as_lost() -> None:
    said, unsaid = Execution("a", pid=1, outcome="SUCCESS"), Execution("b", pid=1)
    death = [Death(1, 5.0)]
    assert possible_finals(Truth([said]), []) == frozenset()
    assert possible_finals(Truth([said]), death) == {"SUCCESS", "FAILURE"}
    assert possible_finals(Truth([said, unsaid]), death) == {"FAILURE"}
