from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge.errors import QueueUnavailable
from bridge.journal import Standing
from bridge.records import AGAIN, BROKEN, OK, STALE, Publication, Reading, Receipt
from bridge.sender.events import events_of
from bridge.sender.lane import AmendedSource, FixedSource, Lane
from bridge.sender.lifecycle import pending_record
from bridge.sender.outbox import Outbox
from bridge.sender.progress import Progress
from bridge.sender.run import Run
from bridge.settings import Settings
from tests.conftest import wait_until


class Queue:
    """Plays the queue and the journal, and can be away, black-holed, or lose its replies."""

    def __init__(self) -> None:
        self.log: list[Publication] = []
        self.sent: list[tuple[str, Any, str]] = []
        self.away = False
        self.lose_replies = 0
        self.gate = threading.Event()
        self.gate.set()
        self.statuses: list[str] = []
        self.cancel = False
        self.receivers = 1
        self.snapshots: list[Reading] = []
        self.rev = 0
        self.renewed: list[str] = []
        self.closed_past_the_journal = False
        self.refused = 0
        self.standing: Standing | None = None
        self.asked: Callable[[], object] = lambda: None

    @property
    def journal(self) -> Queue:
        return self

    def renew(self, leases: list[str], seconds: float) -> None:
        self.gate.wait()
        if self.away:
            raise QueueUnavailable("away")
        self.renewed += leases

    def standings(self, jobs: list[str]) -> list[Standing]:
        self.asked()
        if self.away:
            raise QueueUnavailable("away")
        return [self.standing or Standing(self.rev, "", self.cancel, "") for _ in jobs]

    def read(self, requests: list[tuple[str, int]]) -> list[Reading]:
        return [self.snapshots.pop(0) if self.snapshots else Reading(None, [], False, 0)]

    def publish(self, publications: list[Publication]) -> list[Receipt]:
        self.gate.wait()
        if self.away:
            raise QueueUnavailable("away")
        known = {(p.nonce, p.n) for p in self.log}
        self.log += [p for p in publications if (p.nonce, p.n) not in known]
        if self.lose_replies:
            self.lose_replies -= 1
            raise QueueUnavailable("reply lost")
        receipts = []
        for _ in publications:
            self.rev += 1
            status = self.statuses.pop(0) if self.statuses else OK
            receipts.append(
                Receipt(status, self.rev, 0, 1, self.receivers, self.cancel, "no" * (status != OK))
            )
        return receipts

    def send(self, name: str, data: Any, *, to: str, namespace: str) -> None:
        if self.away or self.closed_past_the_journal:
            self.refused += 1
            raise QueueUnavailable("away")
        self.sent.append((name, data, to))

    def join(self, sid: str, namespace: str, job: str) -> None:
        self.sent.append(("join", job, sid))

    def settle(self, seconds: float) -> bool:
        return True

    def states(self, job: str = "j") -> list[str]:
        return [p.state for p in self.log if p.job == job and p.kind == "state"]

    def kinds(self) -> list[str]:
        return [p.name if p.kind == "event" else p.state for p in self.log]


@pytest.fixture
def queue() -> Iterator[Queue]:
    queue = Queue()
    yield queue
    queue.away = False
    queue.gate.set()


def outbox_to(queue: Queue, **settings: Any) -> Outbox:
    return Outbox(Settings.load(settings, environ={}), queue)  # type: ignore[arg-type]


@pytest.fixture
def outbox(queue: Queue) -> Outbox:
    return outbox_to(queue, rate_watched=100)


def run_in(outbox: Outbox, job: str = "j") -> Progress:
    run = Run(job=job)
    progress = Progress(run, send_event=events_of(run, lambda: outbox), told_end=outbox.ended)
    return progress


def warnings_of(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What this outbox's thread complained of; those of other tests may still be at it."""
    thread = outbox.courier._thread
    assert thread is not None
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelname == "WARNING" and record.thread == thread.ident
    ]


def lane_of(outbox: Outbox, progress: Progress) -> Lane:
    return next(lane for lane in outbox.lanes.all() if lane.key == progress.run.run_id)


def test_the_newest_state_goes_and_the_end_goes_at_once(outbox: Outbox, queue: Queue) -> None:
    progress = run_in(outbox)
    outbox.open(progress)
    wait_until(lambda: queue.states() == ["STARTED"])
    for step in range(1000):
        progress.update(step)
    progress.finish("SUCCESS")
    assert outbox.flush(30)
    assert queue.states()[-1] == "SUCCESS"
    assert len(queue.log) < 100
    wait_until(lambda: not len(outbox.lanes))


def test_events_come_in_order_after_the_start_and_before_the_end(
    outbox: Outbox, queue: Queue
) -> None:
    queue.gate.clear()
    progress = run_in(outbox)
    outbox.open(progress)
    for number in range(5):
        progress.emit(f"e{number}", number)
    progress.finish("SUCCESS")
    queue.gate.set()
    assert outbox.flush(30)
    kinds = [kind for kind in queue.kinds() if kind not in ("STARTED", "PROGRESS")]
    assert kinds == ["e0", "e1", "e2", "e3", "e4", "SUCCESS"]


def test_more_events_than_a_batch_holds_still_come_before_the_end(
    outbox: Outbox, queue: Queue
) -> None:
    queue.gate.clear()
    progress = run_in(outbox)
    outbox.open(progress)
    for number in range(1000):
        progress.emit("e", number)
    progress.finish("FAILURE")
    queue.gate.set()
    assert outbox.flush(30)
    assert queue.kinds().count("e") == 1000
    assert queue.kinds()[-1] == "FAILURE"


def test_only_the_run_that_the_journal_does_not_know_may_open_one(
    outbox: Outbox, queue: Queue
) -> None:
    progress = run_in(outbox)
    outbox.wait_acknowledged(outbox.open(progress), 30)
    progress.emit("e", 1)
    progress.update(1)
    progress.finish("SUCCESS")
    assert outbox.flush(30)
    assert [p.start for p in queue.log] == [True] + [False] * (len(queue.log) - 1)
    assert {p.run for p in queue.log[1:]} == {1}
    assert [p.floor for p in queue.log] == sorted(p.floor for p in queue.log)


def test_nothing_blocks_and_nothing_raises_while_the_queue_is_away(
    outbox: Outbox, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    queue.away = True
    progress = run_in(outbox)
    outbox.open(progress)
    for step in progress.track(range(100)):
        progress.emit("e", step)
    progress.finish("SUCCESS", result=1)
    wait_until(lambda: outbox.down)
    wait_until(lambda: outbox.courier._backoff > 0.2)
    queue.away = False
    assert outbox.flush(30)
    assert queue.kinds().count("e") == 100
    assert queue.states()[-1] == "SUCCESS"
    assert len(warnings_of(outbox, caplog)) == 2, "one when it went away, one when it came back"
    assert outbox.counters.outages == 1


def test_a_black_hole_holds_the_sender_thread_and_never_the_task(
    outbox: Outbox, queue: Queue
) -> None:
    queue.gate.clear()
    progress = run_in(outbox)
    outbox.open(progress)
    done = threading.Event()

    def task() -> None:
        for step in progress.track(range(10_000)):
            progress.emit("e", step) if step % 100 == 0 else None
        progress.finish("SUCCESS")
        done.set()

    threading.Thread(target=task, daemon=True).start()
    assert done.wait(30)
    assert queue.log == []


def test_a_lost_reply_is_asked_for_again_with_the_same_numbers(
    outbox: Outbox, queue: Queue
) -> None:
    queue.lose_replies = 2
    progress = run_in(outbox)
    outbox.open(progress)
    progress.emit("e", 1)
    progress.finish("SUCCESS")
    assert outbox.flush(30)
    assert queue.kinds().count("e") == 1
    assert queue.kinds().count("SUCCESS") == 1


def test_what_the_server_refused_for_now_is_sent_later_with_new_numbers(
    outbox: Outbox, queue: Queue
) -> None:
    queue.statuses = [AGAIN, AGAIN]
    progress = run_in(outbox)
    outbox.open(progress)
    progress.emit("e", 1)
    progress.finish("SUCCESS")
    assert outbox.flush(30)
    assert queue.states()[-1] == "SUCCESS"
    assert len({p.n for p in queue.log}) == len(queue.log)


def test_what_the_journal_cannot_take_is_dropped_counted_and_logged(
    outbox: Outbox, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    queue.statuses = [OK, BROKEN]
    progress = run_in(outbox)
    outbox.wait_acknowledged(outbox.open(progress), 30)
    progress.emit("e", 1)
    assert outbox.flush(30)
    wait_until(lambda: outbox.counters.broken == 1)
    assert "dropped" in caplog.text
    progress.finish("SUCCESS")
    assert outbox.flush(30)
    assert queue.states()[-1] == "SUCCESS"


def test_a_superseded_run_falls_silent(outbox: Outbox, queue: Queue) -> None:
    queue.statuses = [OK, STALE]
    progress = run_in(outbox)
    outbox.wait_acknowledged(outbox.open(progress), 30)
    progress.emit("first", 1)
    wait_until(lambda: outbox.counters.stale == 1)
    count = len(queue.log)
    progress.emit("second", 2)
    progress.update(5)
    progress.finish("SUCCESS")
    assert outbox.flush(30)
    wait_until(lambda: not len(outbox.lanes))
    assert len(queue.log) == count


def test_what_is_dropped_is_logged_whenever_it_has_doubled_and_in_the_end(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = outbox_to(queue, events_kept=1)
    progress = run_in(outbox)
    outbox.flush(30)

    def told() -> list[str]:
        return [r.message.split(" because")[0] for r in caplog.records if "dropped" in r.message]

    def drop(count: int) -> None:
        queue.gate.clear()
        before = outbox.counters.events_dropped
        while outbox.counters.events_dropped < before + count:
            progress.emit("e")
        queue.gate.set()
        wait_until(lambda: not outbox.courier.busy and not outbox.lanes.unsent())

    for count, lines in ((2, 1), (1, 1), (3, 2)):
        drop(count)
        wait_until(lambda lines=lines: len(told()) == lines, what=str(told()))
    drop(1)
    outbox.flush(30)
    assert told()[-1].startswith("so far 7 events and 0 states were dropped")
    assert len(told()) == 3


def test_events_are_bounded_the_oldest_go_and_the_hole_is_told(queue: Queue) -> None:
    outbox = outbox_to(queue, events_kept=10)
    queue.gate.clear()
    progress = run_in(outbox)
    progress.emit("e", -1)
    wait_until(lambda: outbox.courier.busy, what="the first to be on its way")
    for number in range(25):
        progress.emit("e", number)
    assert len(lane_of(outbox, progress).events) <= 10
    queue.gate.set()
    assert outbox.flush(30)
    dropped = outbox.counters.events_dropped
    assert dropped >= 10
    assert sum(p.skipped for p in queue.log) == dropped
    assert queue.log[-1].body.endswith('"data":24}')


def test_states_of_jobs_elsewhere_are_bounded(queue: Queue) -> None:
    outbox = outbox_to(queue, outbox_jobs=5)
    queue.away = True
    for number in range(20):
        record = pending_record(f"j{number}", "t", user=None, root=None, parent=None)
        outbox.put(f"j{number}", FixedSource(record))
    assert len(outbox.lanes) <= 6
    assert outbox.counters.states_dropped >= 14
    running = run_in(outbox, "running")
    outbox.open(running)
    for number in range(20):
        ended = run_in(outbox, f"ended{number}")
        outbox.open(ended)
        ended.finish("SUCCESS")
    assert len(outbox.lanes) <= 6
    queue.away = False
    assert outbox.flush(30)
    assert queue.states("running") == ["STARTED"]
    assert queue.states("ended19") == ["SUCCESS"]


def test_the_pace_follows_who_watches(queue: Queue) -> None:
    outbox = outbox_to(queue, rate_watched=1000, rate_idle=0.01)
    queue.receivers = 0
    progress = run_in(outbox)
    outbox.wait_acknowledged(outbox.open(progress), 30)
    progress.update(1)
    assert outbox.lanes.interval(lane_of(outbox, progress)) == 100
    progress.emit("e", 1)
    queue.receivers = 3
    wait_until(lambda: "e" in queue.kinds())
    progress.emit("e", 1)
    wait_until(lambda: queue.states().count("PROGRESS") >= 1)


def test_a_job_that_tells_nothing_costs_nothing(
    outbox: Outbox, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    due = outbox.lanes.due

    def counted(now: float) -> list[Lane]:
        nonlocal looks
        looks += 1
        return due(now)

    monkeypatch.setattr(outbox.lanes, "due", counted)
    outbox.wait_acknowledged(outbox.open(run_in(outbox)), 30)
    begun = time.monotonic()
    wait_until(lambda: looks > 20)
    looked, elapsed = looks, time.monotonic() - begun
    assert looked <= 10 + 2 * 100 * elapsed, "about RATE_WATCHED times a second, and no spinning"


def test_a_cancel_reaches_the_task_with_the_next_receipt(outbox: Outbox, queue: Queue) -> None:
    queue.cancel = True
    progress = run_in(outbox)
    outbox.wait_acknowledged(outbox.open(progress), 30)
    assert progress.cancelled


def test_a_cancel_reaches_a_task_that_tells_nothing(outbox: Outbox, queue: Queue) -> None:
    progress = run_in(outbox)
    outbox.wait_acknowledged(outbox.open(progress), 30)
    assert not progress.cancelled
    queue.cancel = True
    wait_until(lambda: progress.cancelled)
    assert queue.states() == ["STARTED"]


def test_a_superseded_run_still_hears_of_a_cancel(outbox: Outbox, queue: Queue) -> None:
    queue.statuses = [STALE]
    progress = run_in(outbox)
    outbox.wait_acknowledged(outbox.open(progress), 30)
    queue.cancel = True
    wait_until(lambda: progress.cancelled)


@pytest.mark.parametrize("verdict", ["", "LOST", "FAILURE"])
def test_a_task_that_tells_nothing_is_told_again_when_the_journal_lost_it_or_gave_it_up(
    outbox: Outbox, queue: Queue, verdict: str
) -> None:
    progress = run_in(outbox)
    outbox.wait_acknowledged(outbox.open(progress), 30)
    run_id = progress.run.run_id
    queue.standing = (
        Standing(2**53, run_id, False, verdict) if verdict else Standing(0, "", False, "")
    )
    wait_until(lambda: queue.states() == ["STARTED"] * 2)
    queue.standing = None
    assert [p.start for p in queue.log] == [True, False]
    progress.finish("SUCCESS")
    assert outbox.flush(30)


def test_a_run_that_another_superseded_does_not_undo_the_verdict_about_that(
    outbox: Outbox, queue: Queue
) -> None:
    outbox.wait_acknowledged(outbox.open(run_in(outbox)), 30)
    queue.standing = Standing(2**53, "another", False, "LOST")
    asked = threading.Event()
    queue.asked = asked.set
    assert asked.wait(30)
    asked.clear()
    assert asked.wait(30)
    assert queue.states() == ["STARTED"]


def test_what_is_new_is_not_taken_for_a_repeat(outbox: Outbox, queue: Queue) -> None:
    queue.gate.clear()
    progress = run_in(outbox)
    outbox.open(progress)
    for number in range(900):
        progress.emit("e", number)
    progress.finish("SUCCESS")
    queue.gate.set()
    assert outbox.flush(30)
    assert not any(publication.again for publication in queue.log)
    assert len(outbox.courier._ended) == 1


def test_nothing_is_kept_of_runs_that_ended_a_while_ago(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.sender.courier.ENDS_KEPT_SECONDS", 0.2)

    def left() -> int:
        gc.collect()
        kept = [each for each in gc.get_objects() if isinstance(each, Lane | Progress)]
        return sum(each.job == "brief" for each in kept)

    for _ in range(300):
        progress = run_in(outbox, "brief")
        outbox.open(progress)
        progress.emit("e", 1)
        progress.finish("SUCCESS")
    del progress
    assert outbox.flush(30)
    wait_until(lambda: left() == 0, what="them to be gone")


def test_an_end_is_told_again_to_a_journal_that_was_away_or_that_lost_it(
    outbox: Outbox, queue: Queue
) -> None:
    progress = run_in(outbox)
    outbox.open(progress)
    progress.finish("SUCCESS")
    assert outbox.flush(30)
    queue.standing = Standing(0, "", False, "")
    wait_until(lambda: queue.states().count("SUCCESS") == 2)
    queue.standing = None
    queue.away = True
    outbox.call(lambda sink: sink.send("e", 1, to="sid", namespace="/"))
    wait_until(lambda: outbox.down)
    queue.away = False
    wait_until(lambda: queue.states().count("SUCCESS") == 3)
    assert outbox.flush(30)
    wait_until(lambda: not len(outbox.lanes))
    assert [p.again for p in queue.log if p.state == "SUCCESS"] == [False, True, True]


def test_waiting_for_the_start_ends_when_the_queue_is_known_to_be_away(
    outbox: Outbox, queue: Queue
) -> None:
    queue.away = True
    lane = outbox.open(run_in(outbox))
    begun = time.monotonic()
    outbox.wait_acknowledged(lane, 30)
    assert time.monotonic() - begun < 20


def test_nobody_waits_for_a_queue_whose_answers_take_too_long(outbox: Outbox, queue: Queue) -> None:
    queue.gate.clear()
    outbox.wait_acknowledged(outbox.open(run_in(outbox, "first")), 0.05)
    wait_until(lambda: not outbox.courier.answers_within(0.05))
    assert outbox.courier.answers_within(60)
    queue.gate.set()
    assert outbox.flush(30)
    outbox.wait_acknowledged(outbox.open(run_in(outbox, "second")), 30)
    assert queue.states("second") == ["STARTED"]


def test_events_to_a_sid_go_past_the_journal_in_order_and_hold_no_job_up(
    outbox: Outbox, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    queue.closed_past_the_journal = True
    for number in range(3):
        outbox.call(lambda sink, n=number: sink.send("e", n, to="sid", namespace="/"))  # type: ignore[misc]
    wait_until(lambda: queue.refused >= 2)
    progress = run_in(outbox)
    outbox.open(progress)
    wait_until(lambda: queue.states() == ["STARTED"])
    assert not outbox.down
    assert caplog.text.count("waits") == 1
    queue.closed_past_the_journal = False
    progress.finish("SUCCESS")
    assert outbox.flush(30)
    assert queue.sent == [("e", 0, "sid"), ("e", 1, "sid"), ("e", 2, "sid")]


def test_an_amendment_is_read_changed_and_set_and_tried_again_when_overtaken(
    outbox: Outbox, queue: Queue
) -> None:
    known = pending_record("j", "t", user=None, root="j", parent=None)
    known |= {"state": "PROGRESS", "current": 5, "rev": 7, "run": 1, "last_seq": 0, "epoch": 1}
    run = {"run": 1, "attempt": 0, "started_at": 1.0, "ended_at": None, "state": "PROGRESS"}
    queue.snapshots = [
        Reading({**known, "runs": [run]}, [], False, 0, "r"),
        Reading({**known, "runs": [run], "rev": 9}, [], False, 0, "r"),
    ]
    queue.statuses = [STALE]

    def end(record: dict[str, Any]) -> None:
        record |= {"state": "FAILURE", "ended_at": 2.0}

    blank = pending_record("j", "t", user=None, root=None, parent=None)
    outbox.put("j", AmendedSource(blank, "r", end))
    assert outbox.flush(30)
    assert [(p.state, p.expect) for p in queue.log] == [("FAILURE", 7), ("FAILURE", 9)]
    assert '"current":5' in queue.log[-1].body
    assert '"state":"FAILURE"' in queue.log[-1].run_entry


@pytest.mark.parametrize(
    ("state", "run_id"), [("PROGRESS", "newer"), ("SUCCESS", "older"), ("LOST", "newer")]
)
def test_an_amendment_of_a_run_that_is_not_the_current_one_sends_nothing(
    outbox: Outbox, queue: Queue, state: str, run_id: str
) -> None:
    blank = pending_record("j", "t", user=None, root=None, parent=None)
    queue.snapshots = [Reading({**blank, "state": state, "rev": 7}, [], False, 0, run_id)]
    outbox.put("j", AmendedSource(blank, "older", lambda record: record.update(state="FAILURE")))
    assert outbox.flush(30)
    wait_until(lambda: not len(outbox.lanes))
    assert queue.log == []


def test_an_unexpected_error_does_not_end_the_sender_thread(
    outbox: Outbox, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.call(lambda sink: 1 / 0 and None)
    wait_until(lambda: "goes on" in caplog.text)
    outbox.open(run_in(outbox))
    wait_until(lambda: "STARTED" in queue.states())


def test_a_state_that_cannot_be_made_is_that_jobs_trouble_only(
    outbox: Outbox, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    broken, healthy = run_in(outbox, "broken"), run_in(outbox, "healthy")
    outbox.wait_acknowledged(outbox.open(broken), 30)
    broken._message = object()  # type: ignore[assignment]  # as a fault of ours would be
    wait_until(lambda: outbox.counters.broken)
    outbox.open(healthy)
    healthy.finish("SUCCESS")
    wait_until(lambda: queue.states("healthy")[-1:] == ["SUCCESS"])
    assert caplog.text.count("can't be sent") < 5, "tried again only when it changes"
    broken._message = "mended"
    broken.finish("SUCCESS")
    wait_until(lambda: queue.states("broken")[-1:] == ["SUCCESS"])


def test_a_batch_that_can_never_be_sent_does_not_hold_up_the_next(
    outbox: Outbox, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(publications: list[Publication]) -> list[Receipt]:
        monkeypatch.undo()
        raise RuntimeError("no way")

    monkeypatch.setattr(queue, "publish", poisoned)
    progress = run_in(outbox)
    outbox.open(progress)
    wait_until(lambda: outbox.counters.broken)
    progress.finish("SUCCESS")
    wait_until(lambda: queue.states() == ["SUCCESS"])
