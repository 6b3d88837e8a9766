"""Celery's result backend as the journal: what only Celery knows, races, and outages."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import QueueUnavailable
from bridge.journal.backend import BackendJournal
from bridge.journal.results import Results
from bridge.journal.siblings import Siblings
from bridge.records import PENDING, Publication, Receipt, state_publication
from bridge.sender.progress import Progress
from bridge.sender.run import Run
from bridge.settings import Settings
from tests.backends import BACKENDS, backend_url
from tests.conftest import RedisServer, wait_until
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex")


class Worker:
    """A process that runs one job, or tells of it."""

    def __init__(self, url: str, job: str) -> None:
        settings = Settings.load(
            {"message_queue": "memory://", "journal": "result-backend", "result_backend": url,
             "rate_idle": 50.0},
            environ={},
        )  # fmt: skip
        self.results = Results(url)
        self.journal = BackendJournal(self.results, settings)
        self.job = job
        self._nonce = uuid.uuid4().hex
        self._n = itertools.count(1)

    def tell(self, state: str, run: Progress | None = None, **fields: Any) -> Receipt:
        progress = run or Progress(Run(job=self.job))
        entry = {"attempt": progress.run.attempt, "started_at": 1.0, "ended_at": None}
        publication = state_publication(
            progress.record(time.monotonic()) | {"state": state, **fields},
            run_id="" if run is None else run.run.run_id,
            start=run is not None,
            entry=None if run is None else {**entry, "state": state},
        )
        return self.publish(publication, live=run is not None)

    def publish(self, publication: Publication, *, live: bool = True) -> Receipt:
        publication.nonce, publication.n = self._nonce, next(self._n)
        publication.lease = "a-lease" if live else ""
        (receipt,) = self.journal.publish([publication])
        return receipt

    def run(self, **fields: Any) -> Progress:
        return Progress(Run(job=self.job, **fields))


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return backend_url(request.param, request, tmp_path)


@pytest.fixture
def job() -> str:
    return f"job-{uuid.uuid4().hex}"


@pytest.fixture
def another(url: str, job: str) -> Iterator[Callable[[], Worker]]:
    """Makes processes; closes them all."""
    made: list[Worker] = []

    def make() -> Worker:
        made.append(Worker(url, job))
        return made[-1]

    yield make
    for each in made:
        each.journal.close()


@pytest.fixture
def worker(another: Callable[[], Worker]) -> Worker:
    return another()


@pytest.fixture
def node(another: Callable[[], Worker]) -> Worker:
    """Another process, which reads."""
    return another()


def snapshot(node: Worker) -> dict[str, Any]:
    (reading,) = node.journal.read([(node.job, 0)])
    return reading.snapshot or {}


def test_a_job_from_queued_to_its_end_as_another_process_sees_it(
    worker: Worker, node: Worker, another: Callable[[], Worker]
) -> None:
    assert snapshot(node) == {}
    assert node.journal.cancel(node.job) == "unknown"
    queued = another().tell(PENDING)
    assert snapshot(node)["state"] == PENDING
    run = worker.run()
    started = worker.tell("STARTED", run)
    assert (started.run, started.rev > queued.rev) == (1, True)
    assert worker.journal.settle(10)
    worker.tell("PROGRESS", run, current=5, total=9)
    wait_until(lambda: snapshot(node)["current"] == 5)
    ended = worker.tell("SUCCESS", run, current=9, total=9)
    assert worker.journal.settle(10)
    assert snapshot(node)["rev"] == ended.rev
    assert (snapshot(node)["state"], snapshot(node)["current"]) == ("SUCCESS", 9)
    assert node.journal.cancel(node.job) == "finished"
    again = worker.tell("STARTED", worker.run())
    assert (again.run, again.rev > ended.rev, again.cancel) == (2, True, False)
    assert worker.journal.settle(10)
    assert [each["state"] for each in snapshot(node)["runs"]] == ["SUCCESS", "STARTED"]


def test_the_next_run_goes_on_where_another_process_left_the_job(
    worker: Worker, node: Worker
) -> None:
    first = worker.run()
    worker.tell("STARTED", first)
    left = worker.tell("RETRY", first)
    assert worker.journal.settle(10)
    receipt = node.tell("STARTED", node.run(attempt=1))
    assert (receipt.run, receipt.rev > left.rev) == (2, True)


def test_how_it_ended_only_celery_says(worker: Worker, node: Worker) -> None:
    """The process that ran it died with its last word; its parent, or another, stored the end."""
    run = worker.run()
    worker.tell("PROGRESS", run, current=5, total=9)
    assert worker.journal.settle(10)
    before = snapshot(node)
    node.results.store(node.job, ValueError("as it was"), "FAILURE")
    after = snapshot(node)
    assert (after["state"], after["current"]) == ("FAILURE", 5)
    assert after["error"] == {"type": "ValueError", "message": "as it was"}
    assert after["rev"] > before["rev"]
    assert [each["state"] for each in after["runs"]] == ["FAILURE"]
    (sign,) = node.journal.vital_signs([node.job])
    assert (sign.rev, sign.running, sign.waiting) == (after["rev"], False, False)
    assert node.journal.cancel(node.job) == "finished"


def test_a_job_that_only_celery_knows_has_its_outcome(node: Worker) -> None:
    node.results.store(node.job, {"private": 1}, "SUCCESS")
    assert (snapshot(node)["state"], snapshot(node)["result"]) == ("SUCCESS", None)


def test_an_end_of_an_earlier_run_says_nothing_of_this_one(worker: Worker, node: Worker) -> None:
    node.results.store(node.job, ValueError("earlier"), "FAILURE")
    worker.tell("PROGRESS", worker.run(), current=1)
    assert worker.journal.settle(10)
    assert snapshot(node)["state"] == "PROGRESS"


def test_a_cancel_is_heard_by_who_runs_the_job_also_if_it_is_silent(
    worker: Worker, node: Worker
) -> None:
    worker.tell("STARTED", worker.run())
    assert worker.journal.settle(10)
    assert node.journal.cancel(node.job) == "ok"
    wait_until(lambda: worker.journal.standings([worker.job])[0].cancel)


def test_a_job_cancelled_while_it_was_queued_hears_it_with_its_start(
    worker: Worker, node: Worker
) -> None:
    node.tell(PENDING)
    assert node.journal.cancel(node.job) == "ok"
    assert worker.tell("STARTED", worker.run()).cancel


def test_of_two_processes_that_run_a_job_one_gives_way_and_it_is_the_older_one(
    worker: Worker, another: Callable[[], Worker]
) -> None:
    """As after a redelivery, while the first worker lives on."""
    first, other = worker.run(), another()
    worker.tell("STARTED", first)
    assert worker.journal.settle(10)
    second = other.run(redelivered=True)
    assert other.tell("STARTED", second).run == 2
    assert other.journal.settle(10)
    wait_until(lambda: worker.tell("PROGRESS", first, current=1).status == "stale")
    other.tell("SUCCESS", second)
    assert other.journal.settle(10)
    assert snapshot(another())["state"] == "SUCCESS"


def test_ids_that_are_too_long_for_celerys_tables_are_shortened(url: str) -> None:
    if "sqlite" not in url:
        pytest.skip("one backend is enough")
    worker = Worker(url, "j" * 155)
    worker.tell(PENDING)
    assert snapshot(worker)["state"] == PENDING
    worker.journal.close()


@pytest.mark.redis
class TestBackendAway:
    @pytest.fixture
    def proxy(self, shared_redis: RedisServer) -> Iterator[Proxy]:
        made = Proxy(shared_redis.port)
        yield made
        made.close()

    @pytest.fixture
    def worker(self, proxy: Proxy, job: str) -> Iterator[Worker]:
        made = Worker(f"redis://127.0.0.1:{proxy.port}/3", job)
        yield made
        made.journal.close()

    def test_a_run_that_is_known_goes_on_and_is_stored_later(
        self, proxy: Proxy, worker: Worker
    ) -> None:
        run = worker.run()
        worker.tell("STARTED", run)
        assert worker.journal.settle(10)
        proxy.black_hole()
        revs = [worker.tell("PROGRESS", run, current=n).rev for n in range(3)]
        assert revs == sorted(set(revs))
        assert worker.tell("SUCCESS", run, current=3).status == "ok"
        assert not worker.journal.settle(0.05)
        proxy.heal()
        assert worker.journal.settle(30)
        assert snapshot(worker)["state"] == "SUCCESS"

    def test_what_must_be_read_or_written_first_says_so(self, proxy: Proxy, worker: Worker) -> None:
        proxy.cut()
        calls = [
            lambda: worker.tell("STARTED", worker.run()),
            lambda: worker.tell(PENDING),
            lambda: worker.journal.read([(worker.job, 0)]),
            lambda: worker.journal.cancel(worker.job),
            lambda: worker.journal.ping(),
        ]
        for call in calls:
            with pytest.raises(QueueUnavailable):
                call()
        proxy.heal()
        assert worker.tell("STARTED", worker.run()).status == "ok"


def test_what_is_stored_under_a_siblings_name_by_others_is_not_taken(
    worker: Worker, node: Worker
) -> None:
    siblings = Siblings(node.results)
    for value in ("text", {"rev": 1}, None, [1]):
        node.results.store(f"{node.job}~bridge", value, "BRIDGE")
        assert siblings.load(node.job) is None
    node.results.store(f"{node.job}~cancel", {"rev": "x"}, "BRIDGE")
    assert siblings.cancelled_at(node.job) == 0
