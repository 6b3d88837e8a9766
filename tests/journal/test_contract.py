"""What every journal promises: in a real Redis, in the embedded fallback, and in this process."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import NoScriptError

from bridge.errors import QueueUnavailable
from bridge.frames import Frame
from bridge.journal import Journal, RedisJournal, Standing, connect
from bridge.journal.backend import BackendJournal
from bridge.records import (
    FAILURE,
    OK,
    PENDING,
    PROGRESS,
    REPEATED,
    RETRY,
    STALE,
    STARTED,
    SUCCESS,
    Publication,
    Receipt,
    state_publication,
)
from bridge.rooms import (
    ALL_JOBS,
    job_room,
    root_room,
    user_room,
)
from bridge.sender.progress import Progress
from bridge.sender.run import Run
from bridge.settings import Settings
from tests.conftest import RedisServer
from tests.journal.grounds import BackendGround, Ground, MemoryGround, RedisGround, fake


@pytest.fixture(params=["redis", "fakeredis", "memory", "result-backend", "result-backend, live"])
def ground(request: pytest.FixtureRequest, channel: str, tmp_path: Path) -> Iterator[Ground]:
    given = {"channel": channel, "events_kept": 100}
    name, _, live = request.param.partition(", ")
    if name in ("memory", "result-backend"):
        given |= {"message_queue": "memory://", "journal": name}
        settings = Settings.load({**given, "result_backend": f"file://{tmp_path}"}, environ={})
        by_backend = name == "result-backend"
        alone: Any = (
            BackendGround(settings, live=bool(live)) if by_backend else MemoryGround(settings)
        )
        yield alone
        alone.close()
        return
    settings = Settings.load(given, environ={})
    if request.param == "fakeredis":
        yield fake(settings)
        return
    client = connect(request.getfixturevalue("redis_url"))
    yield RedisGround(client, settings)
    client.close()


@pytest.fixture
def settings(ground: Ground) -> Settings:
    return ground.settings


@pytest.fixture
def journal(ground: Ground) -> Journal:
    return ground.journal()


def promised(journal: Journal, *promises: str) -> None:
    """Skip where a journal doesn't promise something."""
    off = {each.partition(":")[0] for each in journal.promises_off}
    for promise in promises:
        if promise in off:
            pytest.skip(f"promise off: {promise}")


def only_behind_the_back(ground: Ground) -> None:
    """Skip where who publishes remembers all by itself, so that nothing can be lost to it."""
    if ground.lease:
        pytest.skip("who runs the job remembers it")


def only_by_who_runs_it(journal: Journal, ground: Ground) -> None:
    """Skip where this is said by nobody but the process that runs the job."""
    if isinstance(journal, BackendJournal) and not ground.lease:
        pytest.skip("only who runs the job says this")


class Sender:
    """A process that publishes for one job."""

    def __init__(self, journal: Journal, job: str = "job-1", lease: str = "") -> None:
        self.journal = journal
        self.lease = lease
        self.job = job
        self.nonce = uuid.uuid4().hex
        self.numbers = itertools.count(1)

    def run(self, **fields: Any) -> Progress:
        return Progress(Run(job=self.job, task="t", **fields))

    def state(self, progress: Progress, state: str, *, run: int = 0, **fields: Any) -> Publication:
        record = progress.record(time.monotonic()) | {"state": state}
        entry = {"attempt": progress.run.attempt, "started_at": 1.0, "ended_at": None}
        publication = state_publication(
            record, run_id=progress.run.run_id, start=run == 0, entry={**entry, "state": state}
        )
        return self._stamp(publication, run=run, **fields)

    def pending(self, **record: Any) -> Publication:
        blank = Progress(Run(job=self.job)).record(0) | {"state": PENDING} | record
        return self._stamp(state_publication(blank))

    def event(
        self, progress: Progress | None = None, *, run: int = 0, **fields: Any
    ) -> Publication:
        run_id = progress.run.run_id if progress is not None else ""
        publication = Publication(
            job=self.job, kind="event", name="row", body='"at":1.5,"data":{"é":[1]}}', run_id=run_id
        )
        return self._stamp(publication, run=run, start=bool(run_id) and run == 0, **fields)

    def publish(self, *publications: Publication) -> list[Receipt]:
        return self.journal.publish(publications)

    def _stamp(self, publication: Publication, **fields: Any) -> Publication:
        publication.nonce, publication.n = self.nonce, next(self.numbers)
        publication.lease = self.lease if publication.run_id else ""
        for name, value in fields.items():
            setattr(publication, name, value)
        return publication

    @property
    def snapshot(self) -> dict[str, Any]:
        (reading,) = self.journal.read([(self.job, 0)])
        assert reading.snapshot is not None
        return reading.snapshot

    def events(self, since: int = 0) -> list[int]:
        promised(self.journal, "replay")
        (reading,) = self.journal.read([(self.job, since)])
        return [event["seq"] for event in reading.events]


@pytest.fixture
def sender(journal: Journal, ground: Ground) -> Sender:
    return Sender(journal, lease=ground.lease)


def test_an_unknown_job_has_nothing(sender: Sender) -> None:
    (reading,) = sender.journal.read([("nope", 0)])
    assert (reading.snapshot, reading.events, reading.gap, reading.last_seq) == (None, [], False, 0)


def test_a_snapshot_has_the_record_and_the_journals_numbers(sender: Sender) -> None:
    run = sender.run(attempt=0)
    (receipt,) = sender.publish(sender.state(run, STARTED))

    snapshot = sender.snapshot
    assert snapshot["state"] == STARTED
    assert (snapshot["rev"], snapshot["run"], snapshot["last_seq"]) == (receipt.rev, 1, 0)
    assert snapshot["epoch"] == receipt.rev
    assert snapshot["runs"] == [
        {"run": 1, "attempt": 0, "started_at": 1.0, "ended_at": None, "state": STARTED}
    ]


def test_rev_rises_over_states_and_events_and_stays_exact(sender: Sender) -> None:
    run = sender.run()
    receipts = sender.publish(
        sender.pending(), sender.state(run, STARTED), sender.event(run), sender.event(run)
    )
    revs = [receipt.rev for receipt in receipts]
    assert revs == sorted(set(revs))
    assert all(1e15 < rev < 2**53 for rev in revs)


def test_rev_stays_above_the_senders_floor_when_the_journal_was_lost(
    sender: Sender, ground: Ground
) -> None:
    only_behind_the_back(ground)
    run = sender.run()
    sender.publish(sender.state(run, STARTED), sender.event(run))
    first_epoch = sender.snapshot["epoch"]
    ground.forget(sender.job)
    floor = 2_000_000_000_000_000

    (receipt,) = sender.publish(sender.state(run, PROGRESS, run=1, floor=floor))

    assert receipt.rev == floor + 1
    assert receipt.run == 1
    assert sender.snapshot["epoch"] == receipt.rev != first_epoch
    assert sender.journal.read([(sender.job, 1)])[0].gap


def test_what_is_told_again_to_a_lost_journal_is_not_newer_than_what_was_told_since(
    sender: Sender, ground: Ground
) -> None:
    only_behind_the_back(ground)
    pending = sender.pending()
    (first,) = sender.publish(pending)
    (started,) = sender.publish(sender.state(sender.run(), STARTED))
    ground.forget(sender.job)
    (again,) = sender.publish(sender._stamp(pending, floor=first.rev, again=True))

    assert (again.status, again.rev) == (OK, first.rev + 1)
    assert again.rev <= started.rev
    assert sender.snapshot["epoch"] == again.rev, "clients see that it is another journal"
    (receipt,) = sender.publish(sender.state(sender.run(), STARTED))
    assert receipt.rev > started.rev


def test_seq_counts_events_without_a_hole_and_every_state_carries_it(sender: Sender) -> None:
    run = sender.run()
    receipts = sender.publish(sender.state(run, STARTED), *(sender.event(run) for _ in range(3)))
    assert [receipt.seq for receipt in receipts] == [0, 1, 2, 3]
    assert sender.snapshot["last_seq"] == 3
    assert sender.events() == [1, 2, 3]
    assert sender.events(since=2) == [3]
    assert sender.events(since=3) == []


def test_an_event_reads_as_it_was_sent(sender: Sender) -> None:
    promised(sender.journal, "replay")
    (receipt,) = sender.publish(sender.event())
    (reading,) = sender.journal.read([(sender.job, 0)])
    assert reading.events == [
        {"name": "row", "job": sender.job, "rev": receipt.rev, "run": 0, "seq": 1, "at": 1.5,
         "data": {"é": [1]}}
    ]  # fmt: skip


def test_pending_is_set_only_where_nothing_is(sender: Sender) -> None:
    run = sender.run()
    assert [r.status for r in sender.publish(sender.pending(), sender.pending())] == [OK, STALE]
    sender.publish(sender.state(run, STARTED))
    assert sender.publish(sender.pending())[0].status == STALE
    assert sender.snapshot["state"] == STARTED


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        (STARTED, PROGRESS, OK), (PROGRESS, PROGRESS, OK), (PROGRESS, RETRY, OK),
        (PROGRESS, SUCCESS, OK), (RETRY, FAILURE, OK), (RETRY, PROGRESS, STALE),
        (SUCCESS, PROGRESS, STALE), (SUCCESS, FAILURE, STALE), (FAILURE, RETRY, STALE),
    ],
)  # fmt: skip
def test_within_a_run_a_state_never_falls_back(
    sender: Sender, before: str, after: str, status: str
) -> None:
    run = sender.run()
    sender.publish(sender.state(run, before))
    assert sender.publish(sender.state(run, after, run=1))[0].status == status
    assert sender.snapshot["state"] == (after if status == OK else before)


def test_a_retry_and_a_redelivery_are_new_runs_and_older_ones_are_refused(sender: Sender) -> None:
    first, redelivered, retried = sender.run(), sender.run(), sender.run(attempt=1)
    sender.publish(sender.state(first, PROGRESS))
    assert sender.publish(sender.state(redelivered, STARTED))[0].run == 2

    late = [sender.state(first, PROGRESS, run=1), sender.event(first, run=1)]
    assert [receipt.status for receipt in sender.publish(*late)] == [STALE, STALE]
    sender.publish(sender.state(redelivered, RETRY, run=2))
    assert sender.publish(sender.state(retried, STARTED))[0].run == 3

    assert [(r["run"], r["attempt"], r["state"]) for r in sender.snapshot["runs"]] == [
        (1, 0, "LOST"), (2, 0, RETRY), (3, 1, STARTED),
    ]  # fmt: skip


def test_a_retry_that_comes_after_the_next_start_still_finds_its_place_in_the_history(
    sender: Sender,
) -> None:
    first, second = sender.run(), sender.run(attempt=1)
    sender.publish(sender.state(first, PROGRESS))
    sender.publish(sender.state(second, STARTED))
    assert sender.snapshot["runs"][0]["state"] == RETRY
    late = sender.state(first, RETRY, run=1, run_entry='"attempt":0,"ended_at":9,"state":"RETRY"}')
    assert sender.publish(late)[0].status == STALE
    assert sender.snapshot["state"] == STARTED
    assert sender.snapshot["runs"][0] == {"run": 1, "attempt": 0, "ended_at": 9, "state": RETRY}


def test_an_earlier_attempt_that_comes_late_opens_no_run(sender: Sender) -> None:
    sender.publish(sender.state(sender.run(attempt=1), STARTED))
    assert sender.publish(sender.state(sender.run(attempt=0), RETRY))[0].status == STALE
    assert sender.snapshot["state"] == STARTED


def test_an_end_that_comes_late_does_not_reopen_what_a_later_attempt_ended(sender: Sender) -> None:
    first, second = sender.run(), sender.run(attempt=1)
    sender.publish(sender.state(second, SUCCESS))
    late = [sender.event(first, ended=True), sender.state(first, RETRY, ended=True)]
    assert [receipt.status for receipt in sender.publish(*late)] == [STALE, STALE]
    assert sender.snapshot["state"] == SUCCESS
    assert sender.events() == []


def test_a_run_known_to_be_superseded_opens_none_even_if_its_number_was_never_told(
    sender: Sender,
) -> None:
    first, second = sender.run(), sender.run()
    sender.publish(sender.state(first, PROGRESS), sender.state(second, PROGRESS))
    entry = '"attempt":0,"ended_at":9,"state":"FAILURE"}'
    for _ in range(2):
        late = [sender.state(first, PROGRESS), sender.event(first)]
        assert [receipt.status for receipt in sender.publish(*late)] == [STALE, STALE]
        assert sender.publish(sender.state(first, FAILURE, run_entry=entry))[0].status == STALE
        assert sender.snapshot["runs"][0]["state"] == FAILURE
        sender.publish(sender.state(second, SUCCESS, run=2))
    assert (sender.snapshot["state"], sender.snapshot["run"]) == (SUCCESS, 2)


@pytest.mark.parametrize("state", [PROGRESS, FAILURE])
def test_of_two_deliveries_the_second_wins_whatever_comes_first(sender: Sender, state: str) -> None:
    first, second = sender.run(), sender.run()
    sender.publish(sender.state(second, state, redelivered=True))
    late = sender.state(first, SUCCESS, ended=True)
    assert sender.publish(late)[0].status == STALE
    assert sender.snapshot["state"] == state


def test_the_lease_is_that_of_the_current_run(sender: Sender) -> None:
    promised(sender.journal, "lost workers")
    first, second = sender.run(), sender.run()
    sender.publish(sender.state(first, PROGRESS, lease="a"), sender.event(second, lease="b"))
    (sign,) = sender.journal.vital_signs([sender.job])
    assert (sign.lease, sign.running) == ("b", True)
    assert sender.journal.running(10) == [sender.job]
    sender.publish(sender.state(first, PROGRESS, run=1, lease="a"))
    assert sender.journal.vital_signs([sender.job])[0].lease == "b"


def run_over_a_failover(sender: Sender, ground: Ground) -> tuple[Progress, dict[str, Any], Receipt]:
    """A run, its state before a failover, and what it was told last, which the journal lost."""
    only_behind_the_back(ground)
    run = sender.run()
    sender.publish(sender.state(run, STARTED), sender.event(run))
    go_back = ground.freeze(sender.job)
    before = sender.snapshot
    told = sender.publish(*(sender.event(run) for _ in range(4)))[-1]
    go_back()
    return run, before, told


def test_a_failover_that_lost_the_last_writes_gives_no_number_twice_and_tells(
    sender: Sender, ground: Ground
) -> None:
    run, before, told = run_over_a_failover(sender, ground)

    floors = {"floor": told.rev, "seq_floor": told.seq}
    (receipt,) = sender.publish(sender.event(run, run=1, **floors))

    assert (receipt.seq, receipt.rev > told.rev) == (told.seq + 1, True)
    assert sender.snapshot["epoch"] == receipt.rev > before["epoch"]
    assert sender.events() == [1, told.seq + 1]
    assert sender.journal.read([(sender.job, 3)])[0].gap
    (next_one,) = sender.publish(sender.event(run, run=1, floor=receipt.rev, seq_floor=receipt.seq))
    assert sender.snapshot["epoch"] == receipt.rev
    assert next_one.seq == told.seq + 2


def test_after_a_failover_another_process_may_speak_first(sender: Sender, ground: Ground) -> None:
    run, before, told = run_over_a_failover(sender, ground)
    (foreign,) = sender.publish(sender.event(job=sender.job))
    assert (foreign.seq, foreign.rev > told.rev) == (2, True), "it knows of none of these numbers"

    floors = {"floor": told.rev, "seq_floor": told.seq}
    receipts = sender.publish(*(sender.event(run, run=1, **floors) for _ in range(2)))

    assert [receipt.seq for receipt in receipts] == [told.seq + 1, told.seq + 2]
    assert sender.snapshot["epoch"] == receipts[0].rev > before["epoch"]
    assert sender.events() == [1, 2, told.seq + 1, told.seq + 2]


def test_who_executes_a_job_can_ask_how_it_stands(sender: Sender) -> None:
    run = sender.run()
    (receipt,) = sender.publish(sender.state(run, STARTED))
    sender.journal.cancel(sender.job)
    assert sender.journal.standings(["nope", sender.job]) == [
        Standing(0, "", False, ""), Standing(receipt.rev, run.run.run_id, True, ""),
    ]  # fmt: skip


def test_a_start_that_is_told_twice_is_one_run(sender: Sender) -> None:
    run = sender.run()
    receipts = sender.publish(sender.state(run, STARTED), sender.state(run, PROGRESS))
    assert [receipt.run for receipt in receipts] == [1, 1]


def test_a_run_after_the_end_reopens_the_job(sender: Sender) -> None:
    sender.publish(sender.state(sender.run(attempt=2), SUCCESS))
    assert sender.publish(sender.state(sender.run(), STARTED))[0].status == OK
    assert sender.snapshot["state"] == STARTED


def test_the_last_twenty_runs_are_kept(sender: Sender) -> None:
    for attempt in range(25):
        sender.publish(sender.state(sender.run(attempt=attempt), RETRY))
    assert [run["run"] for run in sender.snapshot["runs"]] == list(range(6, 26))


def test_a_repeat_is_answered_and_neither_stored_nor_published_again(
    sender: Sender, ground: Ground
) -> None:
    only_by_who_runs_it(sender.journal, ground)
    run = sender.run()
    batch = [sender.state(run, STARTED), sender.event(run), sender.event(run)]
    first = sender.publish(*batch)
    heard = ground.listen(job_room(sender.job))

    again = sender.publish(*batch)

    assert {receipt.status for receipt in again} == {REPEATED}
    assert (again[-1].rev, again[-1].seq, again[-1].run) == (first[-1].rev, 2, 1)
    assert sender.events() == [1, 2]
    assert heard() is None


def test_a_publication_is_heard_in_the_rooms_of_job_root_and_user(
    sender: Sender, ground: Ground
) -> None:
    heard = ground.listen(job_room(sender.job), root_room("r"), user_room("u"))
    run = sender.run(root="r", user="u")

    (receipt,) = sender.publish(sender.state(run, STARTED))

    assert receipt.receivers
    frames = []
    while len(frames) < 3:
        message = heard()
        if message is not None:
            frames.append(Frame.parse(message))
    assert len({frame.rev for frame in frames}) == 1
    assert frames[0].packet.startswith(b'2/bridge,["progress",{"rev":')
    packet = json.loads(frames[0].packet[len(b"2/bridge,") :])
    assert packet[1] == sender.snapshot
    promised(sender.journal, "foreign events")
    (event,) = sender.publish(sender.event())
    assert event.receivers
    count = 0
    while count < 3:
        count += heard() is not None
    assert heard() is None, "an event told from elsewhere reaches the root and the user too"


def test_jobs_of_a_user_are_listed_newest_first_page_by_page(journal: Journal) -> None:
    promised(journal, "lists")
    for number in range(5):
        sender = Sender(journal, f"job-{number}")
        sender.publish(sender.state(sender.run(user="u"), STARTED))

    first = journal.list_jobs(user_room("u"), 3)
    rest = journal.list_jobs(user_room("u"), 3, first.cursor)

    assert first.jobs == ["job-4", "job-3", "job-2"]
    assert (rest.jobs, rest.cursor) == (["job-1", "job-0"], None)


def test_all_jobs_are_listed_whoever_s_they_are(journal: Journal) -> None:
    promised(journal, "lists")
    for number, rooms in enumerate(({"user": "u"}, {"root": "r"}, {})):
        sender = Sender(journal, f"job-{number}")
        sender.publish(
            sender.pending() if not rooms else sender.state(sender.run(**rooms), STARTED)
        )
        sender.publish(sender.event())

    assert journal.list_jobs(ALL_JOBS, 10).jobs == ["job-2", "job-1", "job-0"]


def test_compare_and_set_refuses_what_was_overtaken(sender: Sender) -> None:
    run = sender.run()
    (first,) = sender.publish(sender.state(run, STARTED))
    sender.publish(sender.event(run, run=1))
    assert sender.publish(sender.state(run, PROGRESS, run=1, expect=first.rev))[0].status == OK
    assert sender.publish(sender.state(run, PROGRESS, run=1, expect=first.rev))[0].status == STALE
    fresh = Sender(sender.journal, "fresh")
    assert fresh.publish(fresh.state(fresh.run(), FAILURE, expect=0))[0].status == OK


def test_a_cancel_is_told_with_the_next_receipt_and_ends_with_the_job(
    sender: Sender, ground: Ground
) -> None:
    only_by_who_runs_it(sender.journal, ground)
    assert sender.journal.cancel(sender.job) == "unknown"
    sender.publish(sender.pending())
    assert sender.journal.cancel(sender.job) == "ok"
    run = sender.run()
    assert sender.publish(sender.state(run, STARTED))[0].cancel
    sender.publish(sender.state(run, SUCCESS, run=1))
    assert sender.journal.cancel(sender.job) == "finished"
    assert not sender.publish(sender.state(sender.run(), STARTED))[0].cancel


def test_beyond_what_is_retained_the_reader_is_told(sender: Sender, settings: Settings) -> None:
    promised(sender.journal, "replay")
    run = sender.run()
    count = settings.events_kept * 4
    sender.publish(*(sender.event(run) for _ in range(count)))

    (reading,) = sender.journal.read([(sender.job, 0)])

    seqs = [event["seq"] for event in reading.events]
    assert reading.gap
    assert settings.events_kept <= len(seqs) < count
    assert seqs == list(range(count - len(seqs) + 1, count + 1))
    assert not sender.journal.read([(sender.job, count - 10)])[0].gap


def test_events_that_the_sender_dropped_are_a_hole_that_is_told(sender: Sender) -> None:
    run = sender.run()
    sender.publish(sender.event(run), sender.event(run, skipped=3), sender.event(run))
    assert sender.events() == [1, 5, 6]
    assert sender.journal.read([(sender.job, 1)])[0].gap
    assert not sender.journal.read([(sender.job, 5)])[0].gap


def test_a_large_answer_is_cut_and_the_reader_asks_on(sender: Sender) -> None:
    run = sender.run()
    body = '"at":1,"data":"' + "x" * 60_000 + '"}'
    sender.publish(*(sender.event(run, body=body) for _ in range(40)))
    seen: list[int] = []
    while not seen or seen[-1] < 40:
        page = sender.events(since=seen[-1] if seen else 0)
        assert 0 < len(page) < 40
        seen += page
    assert seen == list(range(1, 41))


def test_a_reader_gets_the_same_wherever_it_is(sender: Sender) -> None:
    """Near the end, far behind, in a hole, just before one, and past what is retained."""
    promised(sender.journal, "replay")
    run = sender.run()
    told = 0
    for skipped in [0] * 50 + [7] + [0] * 60 + [300] + [0] * 400:
        told += skipped + 1
        sender.publish(sender.event(run, skipped=skipped))
    retained = sender.events()
    assert retained[0] > 1, "some are gone"
    for since in (*range(0, told + 1, 5), *retained):
        (reading,) = sender.journal.read([(sender.job, since)])
        wanted = [seq for seq in retained if seq > since]
        assert [event["seq"] for event in reading.events] == wanted, since
        assert reading.gap == (since < told and wanted[0] > since + 1), since


def test_a_read_costs_what_it_answers_and_not_all_that_is_retained(
    redis_url: str, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.journal.redis.EVENT_BYTES_A_READ", 4000)
    with connect(redis_url) as client, client.monitor() as monitor:
        sender = Sender(RedisJournal(client, Settings.load({"channel": channel}, environ={})))
        run = sender.run()
        sender.publish(*(sender.event(run) for _ in range(800)))
        client.ping()
        page = sender.events(since=5)
        client.echo(channel)
        commands = iter(lambda: monitor.next_command()["command"], f"ECHO {channel}")
        reads = [each.split() for each in commands if channel in each and each.startswith("XR")]
    assert page == list(range(6, 6 + len(page)))
    assert sum(int(words[-1]) for words in reads) < 200, reads


def test_an_event_that_nobody_could_send_on_is_read_without_its_data(sender: Sender) -> None:
    promised(sender.journal, "replay")
    body = '"at":1,"data":' + "[" * 900 + "]" * 900 + "}"
    sender.publish(sender.event(body=body), sender.event())
    first, second = sender.journal.read([(sender.job, 0)])[0].events
    assert (first["seq"], first["data"]) == (1, {"bridge:omitted": "too deep"})
    assert second["data"] == {"é": [1]}


@pytest.mark.redis
def test_everything_expires(redis_url: str, channel: str) -> None:
    settings = Settings.load({"channel": channel}, environ={})
    client = connect(redis_url)
    sender = Sender(RedisJournal(client, settings))
    run = sender.run(user="u")
    sender.publish(sender.state(run, STARTED), sender.event(run))
    keys = list(client.scan_iter(f"{settings.channel}:*"))
    assert len(keys) == 5
    for key in keys:
        assert 0 < client.pttl(key) <= settings.retention * 1000
    client.close()


def test_many_senders_to_one_job_do_not_grow_it_without_end(sender: Sender, ground: Ground) -> None:
    for _ in range(300):
        other = Sender(sender.journal, sender.job)
        other.publish(other.event())
    assert ground.senders(sender.job) < 100


@pytest.mark.redis
def test_a_flushed_script_cache_is_filled_again(redis_url: str, channel: str) -> None:
    settings = Settings.load({"channel": channel}, environ={})
    client = connect(redis_url)
    sender = Sender(RedisJournal(client, settings))
    run = sender.run()
    sender.publish(sender.state(run, STARTED))
    client.script_flush()
    assert sender.publish(sender.event(run))[0].status == OK
    assert sender.events() == [1]
    client.close()


@pytest.mark.redis
def test_what_the_server_forgot_between_two_calls_is_refused_for_now_and_no_repeat(
    redis_url: str, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(redis_url)
    journal = RedisJournal(client, Settings.load({"channel": channel}, environ={}))
    sender = Sender(journal)
    run = sender.run()
    sender.publish(sender.state(run, STARTED))
    pipeline = journal._pipeline

    def forget(script: Any, calls: Any) -> list[Any]:
        """The script is flushed before the first call, and loaded by somebody before the next."""
        monkeypatch.setattr(journal, "_pipeline", pipeline)
        return [NoScriptError("No matching script. Please use EVAL."), *pipeline(script, calls[1:])]

    monkeypatch.setattr(journal, "_pipeline", forget)
    refused, stored = sender.publish(sender.event(run), sender.event(run))
    assert (refused.status, stored.status, stored.seq) == ("again", OK, 1)
    assert sender.publish(sender.event(run))[0].seq == 2
    client.close()


@pytest.mark.redis
def test_a_full_server_refuses_for_now_and_loses_nothing(
    own_redis: RedisServer, channel: str
) -> None:
    settings = Settings.load({"channel": channel}, environ={})
    client = connect(own_redis.url)
    sender = Sender(RedisJournal(client, settings))
    run = sender.run()
    sender.publish(sender.state(run, STARTED))
    client.config_set("maxmemory", "1mb")
    client.config_set("maxmemory-policy", "noeviction")
    (refused,) = sender.publish(sender.event(run))
    assert (refused.status, "maxmemory" in refused.reason) == ("again", True)
    client.config_set("maxmemory", "0")
    assert sender.publish(sender.event(run))[0].seq == 1
    client.close()


@pytest.mark.redis
class TestServerAway:
    def test_every_call_says_so(self, own_redis: RedisServer, channel: str) -> None:
        settings = Settings.load({"channel": channel}, environ={})
        client = connect(own_redis.url)
        journal = RedisJournal(client, settings)
        sender = Sender(journal)
        journal.ping()
        own_redis.stop()
        calls = [
            lambda: journal.ping(),
            lambda: journal.publish([sender.event()]),
            lambda: journal.read([("j", 0)]),
            lambda: journal.list_jobs("user:u", 1),
            lambda: journal.cancel("j"),
        ]
        for call in calls:
            with pytest.raises(QueueUnavailable):
                call()
        own_redis.start()
        assert sender.publish(sender.event())[0].status == OK
        client.close()
