"""Watching over a real WebSocket on a real node: acks, live messages, rooms and permissions."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.rooms import relay_channel
from bridge.settings import Settings
from bridge.tokens import Tokens
from tests.conftest import wait_until
from tests.nodes import Client, Node, Worker, holds_for, running

MakeClient = Callable[..., Client]


def test_late_joiner_gets_the_state_and_the_events_so_far(
    worker: Worker, clients: MakeClient, job: str
) -> None:
    worker.state(job, "STARTED", current=0)
    worker.event(job, data={"line": 1})
    receipt = worker.state(job, current=3, total=10)

    answer = clients().ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})

    assert answer["ok"] is True
    assert answer["job"] == job
    assert answer["snapshot"]["current"] == 3
    assert answer["snapshot"]["rev"] == receipt.rev
    assert [(e["name"], e["seq"], e["data"]) for e in answer["events"]] == [("row", 1, {"line": 1})]
    assert set(answer["events"][0]) == {"name", "job", "rev", "run", "seq", "at", "data"}
    assert answer["gap"] is False


def test_live_messages_follow_the_ack_in_order(
    worker: Worker, clients: MakeClient, job: str
) -> None:
    client = clients()
    client.ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})

    worker.state(job, "STARTED", current=0)
    for number in range(1, 21):
        worker.event(job, data=number)
        worker.state(job, current=number)

    client.wait(20)
    assert client.currents() == list(range(21))
    assert client.seqs() == list(range(1, 21))
    name, event = client.received[1]
    assert name == "row"
    assert set(event) == {"job", "rev", "run", "seq", "at", "data"}


def test_who_wants_no_events_gets_none(worker: Worker, clients: MakeClient, job: str) -> None:
    worker.state(job, "STARTED")
    for number in range(3):
        worker.event(job, data=number)
    token = worker.tokens.issue(jobs=job)
    client = clients()

    one = client.ask("watch", {"job": job, "token": token, "events": False})
    several = client.ask("watch", {"jobs": [job], "token": token, "events": False})["jobs"][job]

    for answer in (one, several):
        assert answer["snapshot"]["last_seq"] == 3
        assert (answer["events"], answer["gap"]) == ([], False)


def test_since_leaves_out_what_is_known(worker: Worker, clients: MakeClient, job: str) -> None:
    worker.state(job, "STARTED")
    for number in range(5):
        worker.event(job, data=number)
    token = worker.tokens.issue(jobs=job)

    answer = clients().ask("watch", {"job": job, "token": token, "since": 3})

    assert [event["seq"] for event in answer["events"]] == [4, 5]


def test_unknown_job_with_a_valid_token_stands(
    worker: Worker, clients: MakeClient, job: str
) -> None:
    client = clients()

    answer = client.ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})

    assert answer == {
        "ok": True, "job": job, "snapshot": None, "events": [], "gap": False, "actions": ["watch"],
    }  # fmt: skip
    worker.state(job, "PENDING")
    wait_until(lambda: client.received)


def test_unwatch_ends_it(worker: Worker, clients: MakeClient, job: str) -> None:
    client, other = clients(), clients()
    for each in (client, other):
        each.ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})

    assert client.ask("unwatch", {"job": job}) == {"ok": True}
    assert client.ask("unwatch", {"jobs": [job, "never-watched"]}) == {"ok": True}

    worker.state(job, current=1)
    other.wait(1)
    assert holds_for(lambda: not client.received)


def test_several_jobs_each_with_its_answer(worker: Worker, clients: MakeClient) -> None:
    mine, foreign = uuid.uuid4().hex, uuid.uuid4().hex
    for job in (mine, foreign):
        worker.state(job, "STARTED", current=1)
        worker.event(job)
        worker.event(job)
    client = clients()

    answer = client.ask(
        "watch",
        {"jobs": [mine, foreign], "token": worker.tokens.issue(jobs=mine), "since": {mine: 1}},
    )

    assert answer["ok"] is True
    assert list(answer["jobs"]) == [mine, foreign]
    assert answer["jobs"][mine]["snapshot"]["current"] == 1
    assert [event["seq"] for event in answer["jobs"][mine]["events"]] == [2]
    assert answer["jobs"][mine]["gap"] is False
    assert answer["jobs"][foreign]["ok"] is False
    assert answer["jobs"][foreign]["error"] == "forbidden"
    worker.state(foreign, current=5)
    worker.state(mine, current=6)
    client.wait(6)
    assert client.currents() == [6]


def test_root_lists_newest_first_and_follows_those_to_come(
    worker: Worker, clients: MakeClient
) -> None:
    root = uuid.uuid4().hex
    first, second, third = (f"{root}-{n}" for n in range(3))
    worker.state(root, "STARTED", current=0)
    worker.state(first, "STARTED", root=root, current=1)
    worker.state(second, "STARTED", root=root, current=2)
    client = clients()

    answer = client.ask("watch", {"root": root, "token": worker.tokens.issue(root=root)})

    assert list(answer["jobs"]) == [second, first, root]
    assert answer["jobs"][first]["snapshot"]["current"] == 1
    assert answer["cursor"] is None
    worker.state(third, "STARTED", root=root, current=3)
    worker.state(root, current=4)
    client.wait(4)
    assert client.currents() == [3, 4]


def test_user_pages_through_the_jobs(worker: Worker, clients: MakeClient) -> None:
    user = uuid.uuid4().hex
    jobs = [f"{user}-{n}" for n in range(5)]
    for job in jobs:
        worker.state(job, "STARTED", user=user)
    client, token = clients(), worker.tokens.issue(user=user)

    seen, cursor = [], None
    for _ in range(4):
        answer = client.ask("watch", {"user": user, "token": token, "limit": 2, "cursor": cursor})
        seen += list(answer["jobs"])
        cursor = answer["cursor"]
        if cursor is None:
            break

    assert seen == jobs[::-1]


def test_client_in_several_rooms_of_a_job_gets_each_message_once(
    worker: Worker, clients: MakeClient, job: str
) -> None:
    root, user = f"root-{job}", f"user-{job}"
    client = clients()
    client.ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})
    client.ask("watch", {"root": root, "token": worker.tokens.issue(root=root)})
    client.ask("watch", {"user": user, "token": worker.tokens.issue(user=user)})
    others = [clients(), clients()]
    others[0].ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})
    others[1].ask("watch", {"user": user, "token": worker.tokens.issue(user=user)})

    worker.state(job, "STARTED", root=root, user=user, current=0)
    for number in range(1, 11):
        worker.event(job)
        worker.state(job, root=root, user=user, current=number)

    for each in (client, *others):
        each.wait(10)
        assert each.currents() == list(range(11))
        assert each.seqs() == list(range(1, 11))


def test_tokens_of_a_root_and_a_user_allow_their_jobs(
    worker: Worker, clients: MakeClient, job: str
) -> None:
    root, user = f"root-{job}", f"user-{job}"
    worker.state(job, "STARTED", root=root, user=user)
    client = clients()

    for token in (worker.tokens.issue(root=root), worker.tokens.issue(user=user)):
        assert client.ask("watch", {"job": job, "token": token})["ok"] is True
    for token in (worker.tokens.issue(root="other"), worker.tokens.issue(user="other")):
        assert client.ask("watch", {"job": job, "token": token})["error"] == "forbidden"


def test_forbidden_says_nothing_about_the_job(
    worker: Worker, clients: MakeClient, job: str
) -> None:
    worker.state(job, "STARTED")
    unknown = uuid.uuid4().hex
    client = clients()
    tokens = [
        None, "", "forged", worker.tokens.issue(jobs="other"), worker.tokens.issue(root="other"),
        worker.tokens.issue(user="other"), worker.tokens.issue(jobs=job, actions=["cancel"]),
        Tokens(["another secret key"], seconds=60).issue(jobs=job),
    ]  # fmt: skip

    answers = [
        client.ask("watch", {"job": each, "token": token})
        for token in tokens
        for each in (job, unknown)
    ]

    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["ok"] is False
    assert answers[0]["error"] == "forbidden"
    worker.state(job, current=1)
    assert holds_for(lambda: not client.received)


def test_expired_token(worker: Worker, clients: MakeClient, job: str) -> None:
    past = Tokens(
        worker.settings.secret_key, seconds=60, clock=lambda: time.time() - 3600
    ).issue(jobs=job)  # fmt: skip
    client = clients()

    assert client.ask("watch", {"job": job, "token": past})["error"] == "expired"
    assert client.ask("watch", {"job": "other", "token": past})["error"] == "forbidden"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (None,),
        ("job",),
        (7,),
        ([],),
        ({},),
        ({"job": "a"}, {"job": "b"}),
        ({"job": None},),
        ({"job": 7},),
        ({"job": True},),
        ({"job": ""},),
        ({"job": "a b"},),
        ({"job": "a" * 201},),
        ({"job": "a" * 100_000},),
        ({"job": "a\0b"},),
        ({"job": "job:{*}"},),
        ({"job": ["a"]},),
        ({"job": {"a": 1}},),
        ({"job": "a", "jobs": ["b"]},),
        ({"job": "a", "root": "b"},),
        ({"jobs": "a"},),
        ({"jobs": []},),
        ({"jobs": [7]},),
        ({"jobs": ["a"] * 1001},),
        ({"jobs": {"a": 1}},),
        ({"jobs": ["a"], "since": 7},),
        ({"jobs": ["a"], "since": {"b": 7}},),
        ({"jobs": ["a"], "since": {"a": -1}},),
        ({"job": "a", "since": -1},),
        ({"job": "a", "since": True},),
        ({"job": "a", "events": 0},),
        ({"job": "a", "events": False, "since": 3},),
        ({"user": "a", "events": False},),
        ({"job": "a", "since": 1.5},),
        ({"job": "a", "since": "1"},),
        ({"job": "a", "since": 2**53 + 1},),
        ({"job": "a", "since": 10**60},),
        ({"job": "a", "since": {"a": 1}},),
        ({"job": "a", "token": 7},),
        ({"job": "a", "token": "x" * 8193},),
        ({"job": "a", "surprise": 1},),
        ({"job": "a", "limit": 1},),
        ({"user": "a", "since": 1},),
        ({"user": "a b"},),
        ({"user": 7},),
        ({"root": "*{}"},),
        ({"user": "a", "limit": 0},),
        ({"user": "a", "limit": 501},),
        ({"user": "a", "limit": True},),
        ({"user": "a", "cursor": "(1"},),
        ({"user": "a", "cursor": 7},),
        ({"user": "a", "cursor": "9" * 100},),
    ],
)
def test_malformed_watch_is_a_bad_request(clients: MakeClient, arguments: tuple[object]) -> None:
    client = clients()

    answer = client.ask("watch", *arguments)

    assert answer["ok"] is False
    assert answer["error"] == "bad_request"
    assert 0 < len(answer["message"]) < 300
    assert client.ask("unwatch", {"job": "a"}) == {"ok": True}, "the connection lives on"


def test_deep_nesting_costs_neither_the_connection_nor_the_node(clients: MakeClient) -> None:
    client, other = clients(), clients()
    deep: object = []
    for _ in range(300):
        deep = [deep]

    assert client.ask("watch", {"job": deep})["error"] == "bad_request"
    assert client.ask("watch", deep)["error"] == "bad_request"
    client.sio.eio.send('2/bridge,1["watch",' + "[" * 100_000)
    client.sio.eio.send('2/bridge,1["watch",{"job":"a","since":' + "9" * 5000 + "}]")
    client.sio.eio.send("2/bridge,1")
    client.sio.eio.send("2/bridge,1{}")
    client.sio.eio.send("2/bridge,1[7]")
    client.sio.eio.send("nonsense")

    for each in (client, other):
        assert each.ask("unwatch", {"job": "a"}) == {"ok": True}


@pytest.mark.parametrize(
    "event", ["nonsense", "connect", "disconnect", "message", "on_watch", "x" * 999]
)
def test_unknown_event_is_a_bad_request(
    worker: Worker, clients: MakeClient, job: str, event: str
) -> None:
    client = clients()
    client.ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})

    assert client.ask(event, {})["error"] == "bad_request"

    worker.state(job, current=1)
    client.wait(1)


def test_malformed_unwatch_and_cancel(clients: MakeClient) -> None:
    client = clients()

    for arguments in ((), ({},), ({"job": 7},), ({"job": "a", "token": "x"},), ("a",)):
        assert client.ask("unwatch", *arguments)["error"] == "bad_request"
    for arguments in ((), ({},), ({"job": 7},), ({"job": "a", "terminate": 1},), ({"x": 1},)):
        assert client.ask("cancel", *arguments)["error"] == "bad_request"


def test_cancel(worker: Worker, clients: MakeClient, job: str) -> None:
    worker.state(job, "STARTED")
    may = worker.tokens.issue(jobs=[job, "never"], actions=["watch", "cancel"])
    client = clients()

    assert client.ask("cancel", {"job": job})["error"] == "forbidden"
    watching = worker.tokens.issue(jobs=job)
    assert client.ask("cancel", {"job": job, "token": watching})["error"] == "forbidden"
    assert client.ask("cancel", {"job": "never", "token": may})["error"] == "unknown_job"
    assert client.ask("cancel", {"job": job, "token": may}) == {"ok": True}
    assert worker.state(job, current=1).cancel is True
    worker.state(job, "REVOKED")
    assert client.ask("cancel", {"job": job, "token": may})["error"] == "finished"


def test_too_many_watches(settings: Settings) -> None:
    tokens = Tokens(settings.secret_key, seconds=60)
    jobs = [f"job-{n}" for n in range(4)]
    token = tokens.issue(jobs=jobs)
    with running(settings, BRIDGE_MAX_WATCHES="3") as node:
        client = Client(node.url)

        assert client.ask("watch", {"jobs": jobs, "token": token})["error"] == "too_many"
        assert client.ask("watch", {"jobs": jobs[:3], "token": token})["ok"] is True
        assert client.ask("watch", {"job": jobs[0], "token": token})["ok"] is True
        assert client.ask("watch", {"job": jobs[3], "token": token})["error"] == "too_many"
        client.ask("unwatch", {"job": jobs[0]})
        assert client.ask("watch", {"job": jobs[3], "token": token})["ok"] is True
        client.close()


def test_public_node_needs_no_token_to_watch(settings: Settings, job: str) -> None:
    worker = Worker(settings)
    worker.state(job, "STARTED", current=2)
    with running(settings, BRIDGE_PUBLIC="true", BRIDGE_SECRET_KEY="") as node:
        client = Client(node.url)

        assert client.ask("watch", {"job": job})["snapshot"]["current"] == 2
        assert client.ask("watch", {"user": "anna"})["ok"] is True
        assert client.ask("cancel", {"job": job})["error"] == "forbidden"
        client.close()


@pytest.mark.timeout(120)
def test_two_hundred_clients_that_join_at_once_all_get_what_follows(
    settings: Settings, job: str
) -> None:
    worker = Worker(settings)
    worker.state(job, "STARTED", current=0)
    token = worker.tokens.issue(jobs=job)
    with running(settings) as node, ThreadPoolExecutor(50) as pool:
        joining = list(pool.map(lambda _: Client(node.url), range(200)))
        answers = list(pool.map(lambda c: c.ask("watch", {"job": job, "token": token}), joining))
        worker.state(job, current=1)
        worker.event(job)
        worker.state(job, current=2)

        assert all(answer["ok"] for answer in answers)
        for client in joining:
            client.wait(2)
            assert client.currents() == [1, 2]
            assert client.seqs() == [1]
        list(pool.map(Client.close, joining))


def test_malformed_messages_on_the_queue_are_dropped(
    worker: Worker, clients: MakeClient, node: Node, job: str
) -> None:
    client = clients()
    client.ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})
    redis = worker.redis
    channel = f"{worker.settings.channel}/job:{{{job}}}"
    packet = b'2/bridge,["progress",{}]'
    bad = [
        b"", b"nonsense", b"\xff" * 100, b'{"method":"emit"}', b"v1 " + b"x" * 1000,
        b"v1 %s 1 9 0 state 5\n%s" % (job.encode(), packet),
        b"v1 other 1 9 0 state %d\n%s" % (len(packet), packet),
        b'v1 %s 1 9 0 state 23\n2/other,["progress",{}]' % job.encode(),
        b"v1 %s 1 9 0 state 12\n2/bridge,[\xff\xff" % job.encode(),
        b"v1 %s 1 9 0 state 10\n1/bridge,[]" % job.encode(),
    ]  # fmt: skip

    for message in bad:
        assert redis.publish(channel, message) == 1
        redis.publish(relay_channel(worker.settings.channel), message)
    bad_joins = [
        b"[]", b"7", b"[" * 2000, b"x" * 10_000, b'{"method":"join"}',
        b'{"method":"join","sid":[]}', b'{"method":"join","sid":"a","job":"*"}',
        b'{"method":"join","sid":"a","job":"b"}',
    ]  # fmt: skip
    for message in bad_joins:
        redis.publish(relay_channel(worker.settings.channel), message)

    worker.state(job, current=1)
    client.wait(1)
    assert len(client.received) == 1
    wait_until(lambda: sum("malformed" in line for line in node.log) == 1)
