"""The client's rule as properties, and the client on a real node."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.client import TOKEN_TRIES, EventChange, GapChange, JobView, StateChange, Watch
from bridge.errors import BadRequest, Expired, Finished, Forbidden, Unavailable
from bridge.job_view import MAX_ASIDE, Effect, Hole
from bridge.settings import Settings
from bridge.tokens import Tokens
from tests.conftest import RedisServer, free_port, wait_until
from tests.nodes import (
    SECRET,
    Node,
    Worker,
    clients,
    job,
    node,
    running,
    shared_node,
    shared_settings,
    worker,
)

__all__ = ["clients", "job", "node", "shared_node", "shared_settings", "worker"]


class Journal:
    """A journal as DESIGN describes it, in memory."""

    def __init__(self, kept: int = 1000) -> None:
        self.kept = kept
        self.rev = 0
        self.lose()

    def lose(self) -> None:
        self.epoch = 0
        self.seq = 0
        self.state: dict[str, Any] | None = None
        self.events: list[dict[str, Any]] = []

    def put_state(self, name: str = "PROGRESS") -> tuple[str, dict[str, Any]]:
        self._number()
        self.state = {
            "job": "j", "rev": self.rev, "state": name, "last_seq": self.seq, "epoch": self.epoch,
        }  # fmt: skip
        return "progress", self.state

    def put_event(self) -> tuple[str, dict[str, Any]]:
        self._number()
        self.seq += 1
        payload = {"job": "j", "rev": self.rev, "seq": self.seq, "data": self.rev}
        self.events = [*self.events, {"name": "row", **payload}][-self.kept :]
        return "row", payload

    def answer(self, since: int) -> dict[str, Any]:
        gap = since > self.seq
        asked = 0 if gap else since
        events = [event for event in self.events if event["seq"] > asked]
        first = events[0]["seq"] if events else self.seq + 1
        gap = gap or (asked < self.seq and first > asked + 1)
        snapshot = None if self.state is None else {**self.state, "last_seq": self.seq}
        return {"snapshot": snapshot, "events": events, "gap": gap}

    def _number(self) -> None:
        self.rev += 1
        self.epoch = self.epoch or self.rev


class Screen:
    """What a view told."""

    def __init__(self) -> None:
        self.view = JobView()
        self.states: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.gaps: list[GapChange] = []
        self.holes = 0

    def show(self, effects: list[Effect]) -> bool:
        """Take what changed; tell whether a watch is due."""
        hole = False
        for effect in effects:
            if isinstance(effect, StateChange):
                self.states.append(effect.state)
            elif isinstance(effect, EventChange):
                self.events.append(effect.event)
            elif isinstance(effect, GapChange):
                self.gaps.append(effect)
            else:
                hole = True
        self.holes += hole
        return hole

    def watch(self, journal: Journal) -> None:
        """Watch until nothing is missing."""
        for _ in range(10):
            since = self.view.asking()
            if not self.show(self.view.answered(journal.answer(since), since)):
                return
        raise AssertionError("holes are never filled")


def test_late_joiner() -> None:
    journal, screen = Journal(), Screen()
    journal.put_state("STARTED")
    journal.put_event()
    journal.put_state()

    screen.watch(journal)

    assert [state["rev"] for state in screen.states] == [3]
    assert [event["seq"] for event in screen.events] == [1]
    assert not screen.gaps


def test_live_messages_wait_for_the_answer() -> None:
    journal, screen = Journal(), Screen()
    journal.put_state("STARTED")
    since = screen.view.asking()
    assert screen.view.live(*journal.put_event()) == []
    answer = journal.answer(since)
    assert screen.view.live(*journal.put_event()) == []
    assert screen.view.live(*journal.put_state()) == []

    screen.show(screen.view.answered(answer, since))

    assert [event["seq"] for event in screen.events] == [1, 2]
    assert screen.states[-1]["rev"] == 4


def test_an_older_state_is_never_shown() -> None:
    journal, screen = Journal(), Screen()
    screen.watch(journal)
    old, new = journal.put_state("STARTED"), journal.put_state()

    screen.show(screen.view.live(*new))
    screen.show(screen.view.live(*old))

    assert [state["rev"] for state in screen.states] == [2]


def test_a_hole_asks_from_the_highest_contiguous_seq() -> None:
    journal, screen = Journal(), Screen()
    screen.watch(journal)
    screen.view.live(*journal.put_event())
    journal.put_event()

    assert screen.view.live(*journal.put_event()) == [Hole(1)]


def test_a_states_last_seq_shows_a_hole() -> None:
    journal, screen = Journal(), Screen()
    screen.watch(journal)
    journal.put_event()
    state = journal.put_state()

    assert screen.view.live(*state) == [StateChange(state[1]), Hole(0)]


def test_what_is_no_longer_retained_is_a_gap() -> None:
    journal, screen = Journal(kept=2), Screen()
    journal.put_state("STARTED")
    for _ in range(5):
        journal.put_event()

    screen.watch(journal)

    assert screen.gaps == [GapChange(1, 3)]
    assert [event["seq"] for event in screen.events] == [4, 5]


def test_all_events_gone_is_one_gap() -> None:
    journal, screen = Journal(kept=1), Screen()
    journal.put_state("STARTED")
    journal.put_event()
    journal.events.clear()

    screen.watch(journal)

    assert screen.gaps == [GapChange(1, 1)]


def test_a_lost_journal_is_told_and_its_successor_followed() -> None:
    journal, screen = Journal(), Screen()
    journal.put_state("STARTED")
    journal.put_event()
    screen.watch(journal)
    journal.lose()

    if screen.show(screen.view.live(*journal.put_state())):
        screen.watch(journal)
    for message in (journal.put_event(), journal.put_event(), journal.put_state()):
        if screen.show(screen.view.live(*message)):
            screen.watch(journal)

    assert screen.gaps == [GapChange(2, None)]
    assert [event["rev"] for event in screen.events] == [2, 4, 5]
    assert screen.states[-1]["rev"] == 6


def test_complete_needs_the_end_and_all_events() -> None:
    journal, screen = Journal(), Screen()
    assert not screen.view.complete
    screen.watch(journal)
    journal.put_event()
    screen.show(screen.view.live(*journal.put_state("SUCCESS")))
    assert not screen.view.complete
    screen.watch(journal)
    assert screen.view.complete


def test_messages_to_a_room_are_told_as_they_come() -> None:
    view = JobView()
    message = {"rev": None, "seq": None, "data": 1}
    assert view.live("hello", message) == [EventChange("hello", message)]


def test_what_is_set_aside_is_bounded() -> None:
    journal, screen = Journal(kept=10_000), Screen()
    since = screen.view.asking()
    for _ in range(MAX_ASIDE + 500):
        screen.view.live(*journal.put_event())
    screen.view.live(*journal.put_state())

    assert len(screen.view._aside) == MAX_ASIDE
    if screen.show(screen.view.answered(Journal().answer(since), since)):
        screen.watch(journal)
    assert [event["seq"] for event in screen.events] == list(range(1, MAX_ASIDE + 501))


STEPS = st.lists(st.sampled_from(["state", "event", "event", "lose", "watch"]), max_size=60)


@settings(max_examples=500, deadline=None)
@given(
    steps=STEPS,
    seed=st.integers(0, 2**32),
    kept=st.sampled_from([3, 1000]),
    spread=st.sampled_from([1, 3, 30]),
)
def test_any_delivery_ends_with_the_true_state_and_each_event_once(
    steps: list[str], seed: int, kept: int, spread: int
) -> None:
    """Live messages are dropped, doubled and shuffled within `spread`; holes lead to watches."""
    chance = random.Random(seed)
    journal, screen = Journal(kept), Screen()
    on_their_way: list[tuple[str, dict[str, Any]]] = []
    published: set[int] = set()
    losses = 0

    def deliver() -> None:
        message = on_their_way.pop(chance.randrange(len(on_their_way)))
        if screen.show(screen.view.live(*message)):
            screen.watch(journal)

    for step in steps:
        if step == "lose":
            journal.lose()
            losses += 1
        elif step == "watch":
            screen.watch(journal)
        else:
            message = journal.put_state() if step == "state" else journal.put_event()
            published.add(message[1]["rev"]) if step == "event" else None
            on_their_way += [message] * chance.choice([0, 1, 1, 1, 2])
        while len(on_their_way) > spread:
            deliver()
    while on_their_way:
        deliver()
    journal.put_state("SUCCESS")
    screen.watch(journal)

    revs = [state["rev"] for state in screen.states]
    assert revs == sorted(set(revs)), "states only forward"
    assert screen.states[-1]["state"] == "SUCCESS"
    assert screen.view.complete
    told = [event["rev"] for event in screen.events]
    assert len(told) == len(set(told)), "each event once"
    assert set(told) <= published
    if not losses:
        assert told == sorted(told), "in order"
        seqs = [event["seq"] for event in screen.events]
        gone = [seq for gap in screen.gaps for seq in range(gap.first, (gap.last or 0) + 1)]
        assert sorted(seqs + gone) == list(range(1, journal.seq + 1)), "each told, or told gone"
        if kept == 1000:
            assert not screen.gaps
    else:
        kept_now = {event["rev"] for event in journal.events}
        assert kept_now <= set(told), "what is retained is told"


def test_watch_follows_a_job_to_its_end(worker: Worker, node: Node, job: str) -> None:
    worker.state(job, "STARTED", current=0)
    worker.event(job, data="early")
    changes = []

    with Watch(node.url, job, worker.tokens.issue(jobs=job)) as watch:
        for change in watch:
            changes.append(change)
            if len(changes) == 2:
                worker.event(job, data="live")
                worker.state(job, "SUCCESS", current=9)

    events = [change.event["data"] for change in changes if isinstance(change, EventChange)]
    states = [change.state["state"] for change in changes if isinstance(change, StateChange)]
    assert events == ["early", "live"]
    assert states == ["STARTED", "SUCCESS"]


def test_watch_of_an_ended_job_ends_at_once(worker: Worker, node: Node, job: str) -> None:
    worker.state(job, "STARTED")
    worker.state(job, "FAILURE", error={"type": "ValueError", "message": "no"})

    with Watch(node.url, job, worker.tokens.issue(jobs=job)) as watch:
        (change,) = watch

    assert isinstance(change, StateChange)
    assert change.state["error"]["type"] == "ValueError"


def test_watch_raises_what_the_node_refuses(worker: Worker, node: Node, job: str) -> None:
    past = Tokens([SECRET], seconds=60, clock=lambda: 1000.0).issue(jobs=job)
    for token, job_id, error in (
        (None, job, Forbidden), ("forged", job, Forbidden), (past, job, Expired),
        (None, "not an id", BadRequest),
    ):  # fmt: skip
        with Watch(node.url, job_id, token) as watch, pytest.raises(error):
            list(watch)


def test_watch_without_a_node_is_unavailable() -> None:
    with Watch(f"http://127.0.0.1:{free_port()}", "job") as watch, pytest.raises(Unavailable):
        list(watch)


def test_watch_resumes_on_a_node_that_comes_back(own_redis: RedisServer) -> None:
    ours = Settings.load(
        {"message_queue": own_redis.url, "channel": "resume", "secret_key": SECRET}, environ={}
    )
    worker, port, seen = Worker(ours), free_port(), []
    worker.state("job", "STARTED", current=0)
    worker.event("job", data=1)

    def follow() -> None:
        with Watch(f"http://127.0.0.1:{port}", "job", worker.tokens.issue(jobs="job")) as watch:
            seen.extend(watch)

    with running(ours, BRIDGE_PORT=str(port)):
        following = threading.Thread(target=follow)
        following.start()
        wait_until(lambda: worker.state("job", current=1).receivers)
    worker.event("job", data=2)
    with running(ours, BRIDGE_PORT=str(port)):
        wait_until(lambda: worker.state("job", current=2).receivers)
        worker.event("job", data=3)
        worker.state("job", "SUCCESS")
        following.join(60)

    assert not following.is_alive()
    assert [change.event["data"] for change in seen if isinstance(change, EventChange)] == [1, 2, 3]
    assert not any(isinstance(change, GapChange) for change in seen)


def test_another_process_may_emit_anything_to_the_room(
    worker: Worker, node: Node, job: str
) -> None:
    worker.state(job, "STARTED")
    with Watch(node.url, job, worker.tokens.issue(jobs=job)) as watch:
        changes = iter(watch)
        next(changes)
        for message in (None, 7, ["a"], {"job": "another", "rev": 1}):
            watch._on_event("strange", message)
        worker.state(job, "SUCCESS")
        assert [c.state["state"] for c in changes if isinstance(c, StateChange)] == ["SUCCESS"]


class Office:
    """Gives tokens, the first of them with their time run out."""

    def __init__(self, worker: Worker, job: str, past: int = 0, **claims: Any) -> None:
        self.times = 0
        self._worker = worker
        self._job = job
        self._past = past
        self._claims = claims

    def __call__(self) -> str:
        self.times += 1
        if self.times <= self._past:
            clock = Tokens([SECRET], seconds=60, clock=lambda: 1000.0 + self.times)
            return clock.issue(jobs=self._job, **self._claims)
        return self._worker.tokens.issue(jobs=self._job, **self._claims)


def test_a_function_gives_the_token_and_is_asked_again_once_it_has_expired(
    worker: Worker, node: Node, job: str
) -> None:
    worker.state(job, "STARTED")
    worker.state(job, "SUCCESS")
    office = Office(worker, job, past=1)

    with Watch(node.url, job, office) as watch:
        (change,) = watch

    assert isinstance(change, StateChange)
    assert office.times == 2


def test_a_node_that_refuses_every_token_ends_the_tries(
    worker: Worker, node: Node, job: str
) -> None:
    office = Office(worker, job, past=100)
    with Watch(node.url, job, office) as watch, pytest.raises(Expired):
        list(watch)
    assert office.times == TOKEN_TRIES + 1


def test_a_forbidden_token_is_not_renewed(worker: Worker, node: Node, job: str) -> None:
    asked = []

    def forged() -> str:
        asked.append("forged")
        return "forged"

    with Watch(node.url, job, forged) as watch, pytest.raises(Forbidden):
        list(watch)
    assert asked == ["forged"]


def test_a_function_that_fails_is_tried_a_few_times(worker: Worker, node: Node, job: str) -> None:
    worker.state(job, "STARTED")
    worker.state(job, "SUCCESS")
    failures = iter([OSError("away"), OSError("away")])

    def unsteady() -> str:
        for failure in failures:
            raise failure
        return worker.tokens.issue(jobs=job)

    with Watch(node.url, job, unsteady) as watch:
        assert len(list(watch)) == 1

    asked = []

    def broken() -> str:
        asked.append(1)
        raise OSError("the office is closed")

    with (
        Watch(node.url, job, broken) as watch,
        pytest.raises(Expired, match="no fresh token: OSError: the office is closed") as caught,
    ):
        list(watch)
    assert isinstance(caught.value.__cause__, OSError)
    assert len(asked) == TOKEN_TRIES


@pytest.mark.parametrize("given", [None, "", 5, b"token"])
def test_a_function_that_gives_no_token(node: Node, job: str, given: Any) -> None:
    with (
        Watch(node.url, job, lambda: given) as watch,
        pytest.raises(Expired, match="the function returned"),
    ):
        list(watch)


def test_a_token_that_expires_while_the_job_is_watched_is_renewed(
    worker: Worker, node: Node, job: str
) -> None:
    worker.state(job, "STARTED")
    office = Office(worker, job, expires=1.0)
    changes = []

    with Watch(node.url, job, office) as watch:
        for change in watch:
            changes.append(change)
            if len(changes) == 1:
                wait_until(lambda: not worker.event(job, data="unheard").receivers, what="the end")
                worker.event(job, data="last")
                worker.state(job, "SUCCESS")

    assert office.times >= 2
    seqs = [change.event["seq"] for change in changes if isinstance(change, EventChange)]
    assert seqs == list(range(1, len(seqs) + 1)), "each event once, in order"
    assert changes[-2].event["data"] == "last"  # type: ignore[union-attr]
    assert not any(isinstance(change, GapChange) for change in changes)


def test_cancel_needs_permission_of_its_own(worker: Worker, node: Node, job: str) -> None:
    worker.state(job, "STARTED")
    with Watch(node.url, job, worker.tokens.issue(jobs=job)) as watch:
        next(iter(watch))
        assert watch.actions == ("watch",)
        with pytest.raises(Forbidden):
            watch.cancel()
    assert not worker.state(job, current=1).cancel


def test_cancel_tells_the_job(worker: Worker, node: Node, job: str) -> None:
    worker.state(job, "STARTED")
    token = worker.tokens.issue(jobs=job, actions=["watch", "cancel"])
    states = []
    with Watch(node.url, job, token) as watch:
        for change in watch:
            assert watch.actions == ("watch", "cancel")
            states.append(change)
            if len(states) == 1:
                watch.cancel()
                assert worker.state(job, current=1).cancel
                worker.state(job, "REVOKED")
        with pytest.raises(Finished):
            watch.cancel()
    assert isinstance(states[-1], StateChange)
    assert states[-1].state["state"] == "REVOKED"


def test_cancel_without_watching(worker: Worker, node: Node, job: str) -> None:
    worker.state(job, "STARTED")
    office = Office(worker, job, past=1, actions=["cancel"])
    with Watch(node.url, job, office) as watch:
        watch.cancel()
    assert worker.state(job, current=1).cancel
    assert office.times == 2, "an expired token is renewed for this, too"


def test_cancel_without_a_node_is_unavailable() -> None:
    with Watch(f"http://127.0.0.1:{free_port()}", "job") as watch, pytest.raises(Unavailable):
        watch.cancel()
