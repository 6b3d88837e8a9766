"""The sweep: workers that died, messages that were not heard, and verdicts that are undone."""

from __future__ import annotations

import dataclasses
import time
from typing import Any
from unittest.mock import Mock

import pytest

from bridge.errors import QueueUnavailable
from bridge.journal import connect
from bridge.relay.sweep import RECONCILE_SECONDS, SWEEP_SECONDS, Sweep
from bridge.relay.trails import Place
from bridge.rooms import lease_key
from bridge.settings import Settings
from tests.conftest import RedisServer, wait_until
from tests.nodes import SECRET, Client, Worker, running

pytestmark = pytest.mark.redis


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Watching:
    """Plays the relay: what its clients watch."""

    def __init__(self) -> None:
        self.jobs: dict[str, tuple[int, int]] = {}
        self.runs: dict[str, int] = {}
        self.made_up: list[str] = []

    def followed(self) -> dict[str, Place]:
        return {job: Place(*place, self.runs.get(job, 0)) for job, place in self.jobs.items()}

    def make_up(self, job: str) -> None:
        self.made_up.append(job)


class Outcomes:
    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}

    def ended(self, job: str) -> dict[str, Any] | None:
        return self.known.get(job)


class Ward:
    """A sweep, what it looks after, and a worker whose life is in the test's hands."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.worker = Worker(settings)
        self.clock = Clock()
        self.watching = Watching()
        self.outcomes = Outcomes()
        self.sweep = Sweep(settings, self.watching, self.outcomes, self.clock)

    def sweep_for(self, seconds: float) -> None:
        """Let time pass as it does for a node: sweep by sweep."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now += SWEEP_SECONDS
            self.sweep.sweep()

    def until(self, job: str, state: str) -> dict[str, Any]:
        """Let a lease and a bit pass at the most; returns the record."""
        end = self.clock.now + self.settings.lease + 3 * SWEEP_SECONDS
        while self.snapshot(job)["state"] != state and self.clock.now < end:
            self.sweep_for(SWEEP_SECONDS)
        assert self.snapshot(job)["state"] == state
        return self.snapshot(job)

    def state(self, job: str, state: str = "PROGRESS", **fields: Any) -> int:
        publication = self.worker.state_publication(job, state, **fields)
        publication.lease = "a-lease"
        publication.start = True
        (receipt,) = self.worker.journal.publish([publication])
        assert receipt.status == "ok"
        return receipt.rev

    def live(self) -> None:
        self.worker.journal.renew(["a-lease"], 100)

    def die(self) -> None:
        connect(self.settings.journal_url).delete(lease_key(self.settings.channel, "a-lease"))

    def snapshot(self, job: str) -> dict[str, Any]:
        snapshot = self.worker.journal.read([(job, -1)])[0].snapshot
        assert snapshot is not None
        return snapshot


@pytest.fixture
def ward(settings: Settings) -> Ward:
    return Ward(settings)


@pytest.mark.parametrize("watched", [True, False])
def test_a_job_whose_worker_died_is_lost_and_comes_back_with_a_sign_of_life(
    ward: Ward, watched: bool
) -> None:
    ward.live()
    rev = ward.state("j", redeliverable=True, current=5)
    if watched:
        ward.watching.jobs["j"] = (rev, 0)
    for _ in range(5):
        ward.sweep_for(ward.settings.lease / 2)
        ward.live()
    assert ward.snapshot("j")["state"] == "PROGRESS"

    lost = ward.until("j", "LOST")
    assert (lost["state"], lost["current"]) == ("LOST", 5)
    assert lost["lost_at"] > time.time() - 60
    assert lost["runs"][-1]["state"] == "LOST"
    ward.sweep.sweep()
    assert ward.snapshot("j")["rev"] == lost["rev"], "said once"
    ward.state("j", current=6)
    assert ward.snapshot("j")["state"] == "PROGRESS"


def test_a_job_that_cannot_come_back_fails_and_its_worker_may_still_say_otherwise(
    ward: Ward,
) -> None:
    ward.state("j", redeliverable=False)
    ward.until("j", "LOST")
    failed = ward.until("j", "FAILURE")
    assert failed["error"]["type"] == "WorkerLost"
    ward.sweep.sweep()
    assert ward.snapshot("j")["rev"] == failed["rev"]
    ward.state("j", "SUCCESS")
    assert ward.snapshot("j")["state"] == "SUCCESS"


def test_a_lost_job_that_never_comes_back_fails_in_the_end(settings: Settings) -> None:
    ward = Ward(Settings.load({"message_queue": settings.message_queue, "channel": settings.channel,
                               "secret_key": SECRET, "lost_final": 1}, environ={}))  # fmt: skip
    ward.state("j", redeliverable=True)
    ward.until("j", "LOST")

    def failed() -> bool:
        ward.sweep.sweep()
        return bool(ward.snapshot("j")["state"] == "FAILURE")

    wait_until(failed)


def test_a_job_given_up_may_be_started_again_under_its_id(ward: Ward) -> None:
    ward.state("j", redeliverable=False, attempt=2)
    ward.until("j", "FAILURE")
    again = ward.worker.state_publication("j", "STARTED")
    again.run_id, again.start = "another", True
    assert ward.worker.journal.publish([again])[0].status == "ok"


def test_the_result_backend_knows_better(ward: Ward) -> None:
    ward.state("j", redeliverable=True)
    ward.outcomes.known["j"] = {"state": "SUCCESS", "error": None}
    ward.until("j", "SUCCESS")


@pytest.mark.parametrize("known", ["PENDING", "RETRY", None])
def test_a_watched_job_that_waits_is_asked_for_at_the_result_backend(
    ward: Ward, known: str | None
) -> None:
    if known:
        ward.worker.state("j", known)
    ward.watching.jobs["j"] = (0, 0)
    ward.sweep_for(2 * RECONCILE_SECONDS)
    before = ward.worker.journal.read([("j", 0)])[0].snapshot or {"rev": 1}
    assert before["rev"] == 1 or known
    ward.outcomes.known["j"] = {"state": "SUCCESS", "error": None}
    ward.sweep_for(2 * RECONCILE_SECONDS)
    after = ward.snapshot("j")
    assert (after["state"], after["rev"]) == ("SUCCESS", before["rev"] + 1)


@pytest.mark.parametrize(
    ("known", "run"), [("PENDING", 3), ("PENDING", 1), (None, 3), ("RETRY", 1)]
)
def test_where_screens_have_seen_more_than_a_lost_journal_it_is_their_runs_end(
    ward: Ward, known: str | None, run: int
) -> None:
    if known:
        ward.worker.state("j", known)
    seen = time.time_ns() // 1000 + 60_000_000
    ward.watching.jobs["j"], ward.watching.runs["j"] = (seen, 0), run
    ward.outcomes.known["j"] = {"state": "SUCCESS", "error": None}
    ward.sweep_for(2 * RECONCILE_SECONDS)
    after = ward.snapshot("j")
    assert (after["state"], after["rev"], after["run"]) == ("SUCCESS", seen + 1, run)


@pytest.mark.parametrize("run", [0, 1])
def test_an_end_is_lifted_above_what_screens_saw_of_a_lost_journal(ward: Ward, run: int) -> None:
    if run:
        before = ward.state("j", "SUCCESS", current=7)
    else:
        ward.worker.state("j", "PENDING")
        ward.watching.jobs["j"] = (1, 0)
        ward.outcomes.known["j"] = {"state": "SUCCESS", "error": None}
        ward.sweep_for(2 * RECONCILE_SECONDS)
        before = ward.snapshot("j")["rev"]
    assert ward.snapshot("j")["run"] == run
    seen = before + 60_000_000
    ward.watching.jobs["j"], ward.watching.runs["j"] = (seen, 0), 1
    ward.sweep_for(SWEEP_SECONDS)
    after = ward.snapshot("j")
    assert (after["state"], after["rev"], after["run"]) == ("SUCCESS", seen + 1, 1)
    ward.watching.jobs["j"] = (seen + 1, 0)
    ward.sweep_for(2 * SWEEP_SECONDS)
    assert ward.snapshot("j")["rev"] == seen + 1


@pytest.mark.parametrize("trouble", ["away", "asleep", "both", "clock"])
def test_no_verdict_falls_within_one_lease_after_a_disturbance(
    ward: Ward, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.live()
    ward.state("j", redeliverable=True)
    ward.sweep_for(2 * SWEEP_SECONDS)
    if trouble in ("asleep", "both"):
        ward.clock.now += 100 * ward.settings.lease
    if trouble in ("away", "both"):
        with monkeypatch.context() as patch:
            patch.setattr(ward.sweep._journal, "vital_signs", Mock(side_effect=QueueUnavailable))
            for _ in range(20):
                ward.clock.now += SWEEP_SECONDS
                with pytest.raises(QueueUnavailable):
                    ward.sweep.sweep()
                ward.sweep.disturbed()
    if trouble == "clock":
        # The server's clock has jumped ahead: the lease is gone, the worker is not.
        ward.sweep_for(ward.settings.lease - 3 * SWEEP_SECONDS)
        ward.die()
        ward.sweep_for(SWEEP_SECONDS)
        ward.live()
    ward.sweep_for(ward.settings.lease - SWEEP_SECONDS)
    assert ward.snapshot("j")["state"] == "PROGRESS"
    ward.until("j", "LOST")


def test_a_lease_that_is_gone_says_nothing_of_the_beat_that_was_seen_last(ward: Ward) -> None:
    ward.live()
    ward.state("j", redeliverable=True)
    ward.sweep_for(ward.settings.lease - SWEEP_SECONDS)
    ward.live()  # a newer beat, which the server's clock takes before a sweep has seen it
    ward.die()
    ward.sweep_for(ward.settings.lease - SWEEP_SECONDS)
    assert ward.snapshot("j")["state"] == "PROGRESS"
    ward.until("j", "LOST")


def test_a_server_that_takes_no_beats_makes_no_deaths(own_redis: RedisServer, channel: str) -> None:
    ward = Ward(
        Settings.load(
            {"message_queue": own_redis.url, "channel": channel, "secret_key": SECRET}, environ={}
        )
    )
    ward.live()
    ward.state("j", redeliverable=True)
    ward.sweep_for(2 * SWEEP_SECONDS)
    admin = own_redis.client
    admin.config_set("maxmemory", "1")
    for _ in range(20):
        with pytest.raises(QueueUnavailable):
            ward.sweep_for(SWEEP_SECONDS)
        ward.sweep.disturbed()
    admin.config_set("maxmemory", "0")
    ward.sweep_for(ward.settings.lease - SWEEP_SECONDS)
    assert ward.snapshot("j")["state"] == "PROGRESS"
    ward.until("j", "LOST")


def test_a_verdict_is_about_the_run_that_was_looked_at(ward: Ward) -> None:
    ward.state("j", redeliverable=True)
    ward.sweep_for(ward.settings.lease)
    (sign,) = ward.worker.journal.vital_signs(["j"])
    again = ward.worker.state_publication("j", "STARTED")
    again.run_id, again.start, again.lease = "another", True, "another-lease"
    assert ward.worker.journal.publish([again])[0].status == "ok"
    ward.sweep._pronounce(sign)
    ward.sweep._pronounce(dataclasses.replace(sign, rev=ward.snapshot("j")["rev"]))
    assert ward.snapshot("j")["state"] == "STARTED"


def test_a_beat_that_comes_just_before_a_verdict_forbids_it(ward: Ward) -> None:
    ward.live()
    ward.state("j", redeliverable=True)
    ward.sweep_for(SWEEP_SECONDS)
    (sign,) = ward.worker.journal.vital_signs(["j"])
    ward.live()
    ward.sweep._pronounce(sign)
    assert ward.snapshot("j")["state"] == "PROGRESS"


@pytest.mark.parametrize("state", ["PENDING", "RETRY", "SUCCESS", "FAILURE", "REVOKED"])
def test_a_job_that_no_worker_holds_is_left_alone(ward: Ward, state: str) -> None:
    if state == "PENDING":
        ward.worker.state("j", state)
    else:
        ward.state("j", state)
    ward.watching.jobs["j"] = (0, 0)
    ward.sweep_for(2 * ward.settings.lease)
    assert ward.snapshot("j")["state"] == state


def test_what_was_not_heard_is_made_up_for_if_it_is_still_missing_the_next_time(
    ward: Ward,
) -> None:
    ward.live()
    rev = ward.state("j")
    ward.watching.jobs["j"] = (rev, 0)
    ward.worker.event("j")
    ward.sweep.sweep()
    assert ward.watching.made_up == [], "it may just be on its way"
    ward.sweep.sweep()
    assert ward.watching.made_up == ["j"]
    ward.watching.jobs["j"] = (rev, 1)
    ward.sweep.sweep()
    ward.sweep.sweep()
    assert ward.watching.made_up == ["j"]


def test_one_node_at_a_time_looks_after_what_nobody_watches(ward: Ward) -> None:
    other = Sweep(ward.settings, Watching(), None, ward.clock)
    assert ward.sweep._journal.take_turn(6)
    assert not other._journal.take_turn(6)
    assert ward.sweep._journal.take_turn(6), "and goes on doing so"


def test_jobs_that_expired_are_no_longer_listed_as_running(ward: Ward) -> None:
    ward.live()
    ward.state("j")
    client = connect(ward.settings.journal_url)
    client.delete(f"{ward.settings.channel}:{{j}}:state")
    ward.sweep.sweep()
    assert ward.worker.journal.running(10) == []


def test_a_journal_that_is_away_is_told(own_redis: RedisServer, channel: str) -> None:
    settings = Settings.load(
        {"message_queue": own_redis.url, "channel": channel, "secret_key": SECRET}, environ={}
    )
    sweep = Sweep(settings, Watching(), None)
    own_redis.stop()
    with pytest.raises(QueueUnavailable):
        sweep.sweep()


def test_a_watcher_of_a_real_node_is_told_that_the_worker_died(
    redis_url: str, channel: str
) -> None:
    given = {"message_queue": redis_url, "channel": channel, "secret_key": SECRET, "lease": 1}
    settings = Settings.load(given, environ={})
    ward = Ward(settings)
    ward.live()
    ward.state("j", redeliverable=True, current=3)
    with running(settings, BRIDGE_LEASE="1") as node:
        client = Client(node.url)
        token = ward.worker.tokens.issue(jobs="j")
        assert client.ask("watch", {"job": "j", "token": token})["snapshot"]["state"] == "PROGRESS"
        ward.die()
        wait_until(
            lambda: (
                "LOST" in [data["state"] for name, data in client.received if name == "progress"]
            )
        )
        client.close()


def test_a_real_node_looks_after_jobs_that_nobody_watches(redis_url: str, channel: str) -> None:
    given = {"message_queue": redis_url, "channel": channel, "secret_key": SECRET, "lease": 1}
    settings = Settings.load(given, environ={})
    ward = Ward(settings)
    ward.live()
    ward.state("j", redeliverable=True)
    with running(settings, BRIDGE_LEASE="1") as node:
        # The relay starts with the process; nobody connects.
        ward.die()
        wait_until(lambda: ward.snapshot("j")["state"] == "LOST", seconds=20)
        assert not [line for line in node.log if "sweep failed" in line]
