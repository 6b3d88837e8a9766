"""A watch ends when its token does, not at the next reconnect."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import socketio

from bridge.records import Reading
from bridge.relay.members import Member, Members
from bridge.relay.relay import Relay
from bridge.settings import Settings
from tests.conftest import wait_until
from tests.nodes import Client, Worker, holds_for

MakeClient = Callable[..., Client]
SHORT, LONG = 2.0, 600.0


def expired(client: Client) -> list[object]:
    return [data for name, data in list(client.received) if name == "bridge:expired"]


def watch(client: Client, worker: Worker, job: str, seconds: float) -> float:
    """Watch with a token of so many seconds; returns when it ends."""
    ends = time.time() + seconds
    token = worker.tokens.issue(jobs=job, expires=seconds)
    assert client.ask("watch", {"job": job, "token": token})["ok"] is True
    return ends


def test_the_member_leaves_when_its_token_ends(
    worker: Worker, clients: MakeClient, job: str
) -> None:
    client, other = clients(), clients()
    watch(other, worker, job, LONG)
    ends = watch(client, worker, job, SHORT)

    wait_until(lambda: expired(client))

    assert time.time() >= ends - 0.1
    assert expired(client) == [{"job": job}]
    worker.state(job, current=2)
    other.wait(2)
    assert holds_for(lambda: 2 not in client.currents())
    assert not expired(other)
    assert client.ask("unwatch", {"job": job}) == {"ok": True}, "the connection lives on"


def test_each_watch_ends_at_its_own_time(worker: Worker, clients: MakeClient, job: str) -> None:
    client, last = clients(), f"{job}-last"
    watch(client, worker, f"{job}-second", SHORT + 1)
    watch(client, worker, f"{job}-first", SHORT)
    watch(client, worker, last, LONG)

    wait_until(lambda: len(expired(client)) == 2)

    assert expired(client) == [{"job": f"{job}-first"}, {"job": f"{job}-second"}]
    worker.state(last, "STARTED", current=3)
    client.wait(3)


def test_a_renewed_watch_goes_on_and_a_shorter_token_takes_nothing_away(
    worker: Worker, clients: MakeClient, job: str
) -> None:
    client, witness = clients(), clients()
    watch(client, worker, job, SHORT)
    watch(client, worker, job, LONG)
    watch(client, worker, job, SHORT)
    watch(witness, worker, job, SHORT)

    wait_until(lambda: expired(witness))
    worker.state(job, "STARTED", current=4)

    client.wait(4)
    assert not expired(client)


def test_after_the_end_a_fresh_token_watches_again_and_the_old_one_does_not(
    worker: Worker, clients: MakeClient, job: str
) -> None:
    client = clients()
    token = worker.tokens.issue(jobs=job, expires=SHORT)
    assert client.ask("watch", {"job": job, "token": token})["ok"] is True
    wait_until(lambda: expired(client))

    assert client.ask("watch", {"job": job, "token": token})["error"] == "expired"
    watch(client, worker, job, LONG)

    worker.state(job, "STARTED", current=5)
    client.wait(5)


@pytest.mark.parametrize("scope", ["root", "user"])
def test_a_root_or_a_user_ends_too_and_what_a_job_token_allows_stays(
    worker: Worker, clients: MakeClient, job: str, scope: str
) -> None:
    client, subject = clients(), f"{scope}-{job}"
    watch(client, worker, job, LONG)
    worker.state(f"{job}-sibling", "STARTED", **{scope: subject}, current=1)
    token = worker.tokens.issue(**{scope: subject}, expires=SHORT)  # type: ignore[arg-type]
    assert list(client.ask("watch", {scope: subject, "token": token})["jobs"]) == [f"{job}-sibling"]

    wait_until(lambda: expired(client))

    assert expired(client) == [{scope: subject}]
    worker.state(f"{job}-sibling", **{scope: subject}, current=2)
    worker.state(job, "STARTED", **{scope: subject}, current=3)
    client.wait(3)
    assert 2 not in client.currents()


def test_cancelling_ends_sooner_than_watching(
    worker: Worker, clients: MakeClient, job: str
) -> None:
    worker.state(job, "STARTED")
    tokens = worker.tokens
    tokens._clock = lambda: time.time() - 3601  # type: ignore[method-assign]
    old = tokens.issue(jobs=job, actions=["watch", "cancel"])
    client = clients()

    answer = client.ask("watch", {"job": job, "token": old})

    assert answer["actions"] == ["watch"]
    assert client.ask("cancel", {"job": job, "token": old})["error"] == "expired"


@pytest.fixture
def members() -> Members:
    return Members(lambda _: None)


def test_the_member_table_knows_the_ends(members: Members) -> None:
    member = members.connect("/bridge", "sid", "eio")
    members.enter(member, "job:a", ["job:a"], 10.0)
    members.enter(member, "job:b", ["job:b"], 20.0)
    members.enter(member, "job:c", ["job:c"])
    members.enter(member, "job:a", ["job:a"], 15.0)
    members.enter(member, "job:a", ["job:a"], 5.0)

    assert members.leave_expired(14.9) == []
    assert members.leave_expired(15.0) == [(member, "job:a", ["job:a"])]
    assert members.leave_expired(15.0) == []
    members.enter(member, "job:c", ["job:c"], 1.0)
    assert members.leave_expired(1e12) == [(member, "job:b", ["job:b"])], "unlimited stays so"
    members.enter(member, "job:b", ["job:b"], 30.0)
    members.disconnect(member)
    assert members.leave_expired(1e12) == []
    assert not members._ends


@pytest.fixture
def relay(settings: Settings) -> Iterator[Relay]:
    relay = Relay(settings, socketio.Server(async_mode="threading", namespaces="*"))
    yield relay
    relay._subscriber._wake_reader.close()
    relay._subscriber._wake_writer.close()
    relay._journal.close()


def test_what_a_slow_client_still_waits_for_is_not_told_after_the_end(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: list[object] = []
    monkeypatch.setattr(relay._fanout, "push", lambda *_: pushed.append(_) or True)
    member = Member("/bridge", "sid", "eio")
    relay.members.enter(member, "job:a", ["job:a"], 1.0)
    member.behind["a"] = 0
    snapshot = {"rev": 1, "run": 1, "last_seq": 0, "root": None, "user": None}
    reading = Reading(snapshot=snapshot, events=[], gap=False, last_seq=0)
    relay._catch_up_member(member)
    aside = member.aside["a"]

    relay.members.leave_expired(2.0)
    assert relay._tell_member(member, "a", aside, reading) is None

    assert pushed == []
    assert member.aside == {}
