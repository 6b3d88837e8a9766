"""Server-sent events, by clients that we did not write: requests, curl, Chromium's EventSource."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator

import pytest
import requests
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from playwright.sync_api import Browser

from bridge.errors import QueueUnavailable
from bridge.records import Reading
from bridge.relay import streams
from bridge.relay.inbox import MAX_MESSAGES, Inbox
from bridge.relay.message import EVENT, STATE, Message
from bridge.relay.streams import Stream
from bridge.settings import Settings
from tests.conftest import RedisServer, free_port, missing, wait_until
from tests.nodes import SECRET, Client, Node, Worker, running
from tests.sse import Listener

MODES = ("eventlet", "gevent", "threading")


@pytest.fixture(scope="module", params=MODES)
def node(request: pytest.FixtureRequest, shared_settings: Settings) -> Iterator[Node]:
    with running(shared_settings, "--async-mode", request.param) as made:
        yield made
        assert not [line for line in made.log if "Traceback" in line], made.log


@pytest.fixture(scope="module")
def strict(shared_settings: Settings) -> Iterator[Node]:
    """A node that lets in two connections of an address, and of a user."""
    limits = {"BRIDGE_MAX_CLIENTS_ADDRESS": "2", "BRIDGE_MAX_CLIENTS_USER": "1"}
    with running(shared_settings, **limits) as made:
        yield made


Listen = Callable[..., Listener]


@pytest.fixture
def listen(node: Node, worker: Worker, job: str) -> Iterator[Listen]:
    made: list[Listener] = []

    def listen(last: object = None, query: str = "", job: str = job, **options: object) -> Listener:
        token = worker.tokens.issue(jobs=job, **options)  # type: ignore[arg-type]
        made.append(Listener(f"{node.url}/bridge/jobs/{job}/events{query}", token, last))
        return made[-1]

    yield listen
    for listener in made:
        listener.close()


def metric(node: Node, name: str) -> float:
    text = requests.get(f"{node.url}/metrics", timeout=30).text
    (line,) = [line for line in text.splitlines() if line.startswith(f"celery_bridge_{name} ")]
    return float(line.split()[1])


def test_late_then_live_to_the_end(listen: Listen, worker: Worker, job: str) -> None:
    worker.state(job, "STARTED", current=1)
    worker.event(job, data="early")
    listener = listen()
    listener.wait(1)
    wait_until(lambda: listener.seqs() == [1])
    worker.event(job, data="live")
    worker.state(job, current=2)
    listener.wait(2)
    worker.state(job, "SUCCESS", current=3)
    listener.wait(3)

    assert listener.sent[0].name == "progress", "a running job's state comes first"
    assert listener.currents() == [1, 2, 3]
    assert [(e.ident, e.data["data"]) for e in listener.sent if e.name == "row"] == [
        ("1", "early"), ("2", "live"),
    ]  # fmt: skip
    assert listener.sent[-1].ident == "2"
    assert listener.headers["Content-Type"].startswith("text/event-stream")
    assert listener.headers["X-Accel-Buffering"] == "no"
    assert "no-store" in listener.headers["Cache-Control"]


def test_an_end_is_told_after_the_events(listen: Listen, worker: Worker, job: str) -> None:
    worker.state(job, "STARTED")
    for number in range(3):
        worker.event(job, data=number)
    worker.state(job, "SUCCESS", current=9)
    listener = listen()
    listener.wait(9)
    assert [each.ident for each in listener.sent] == ["1", "2", "3", "3"]


def test_it_resumes_after_the_last_event(listen: Listen, worker: Worker, job: str) -> None:
    worker.state(job, "STARTED", current=1)
    for number in range(5):
        worker.event(job, data=number)
    by_header, by_query, to_the_end = listen(last=3), listen(query="?since=4"), listen(last=5)
    for listener in (by_header, by_query, to_the_end):
        listener.wait(1)
    worker.event(job, data="live")
    worker.state(job, current=2)
    for listener in (by_header, by_query, to_the_end):
        listener.wait(2)
    assert by_header.seqs() == [4, 5, 6]
    assert by_query.seqs() == [5, 6]
    assert to_the_end.seqs() == [6]


def test_a_gap_is_told(listen: Listen, worker: Worker, job: str) -> None:
    worker.state(job, "STARTED")
    worker.event(job)
    worker.redis.delete(f"{worker.settings.channel}:{{{job}}}:events")
    worker.event(job)
    listener = listen()
    wait_until(lambda: listener.seqs() == [2])
    (gap,) = [each for each in listener.sent if each.name == "bridge:gap"]
    assert gap.data == {"job": job, "first": 1, "last": 1}


def test_a_job_that_is_not_known_yet(listen: Listen, worker: Worker, job: str) -> None:
    listener = listen()
    worker.state(job, "PENDING", current=0)
    listener.wait(0)


def test_a_token_that_ends_ends_the_stream(listen: Listen, worker: Worker, job: str) -> None:
    worker.state(job, "STARTED", current=1)
    listener = listen(expires=1)
    listener.wait(1)
    wait_until(lambda: listener.ended)
    assert (listener.sent[-1].name, listener.sent[-1].data) == ("bridge:expired", {"job": job})


def test_who_has_gone_is_forgotten(node: Node, listen: Listen, worker: Worker, job: str) -> None:
    worker.state(job, "STARTED", current=0)
    before = metric(node, "streams"), metric(node, "connections"), metric(node, "members")
    listener = listen()
    listener.wait(0)
    assert metric(node, "streams") == before[0] + 1
    listener.close()

    def gone() -> bool:
        worker.state(job, current=1)  # only who writes learns that nobody reads
        now = metric(node, "streams"), metric(node, "connections"), metric(node, "members")
        return now == before

    wait_until(gone)


def test_who_reads_nothing_costs_little_and_misses_nothing(
    node: Node, worker: Worker, job: str
) -> None:
    worker.state(job, "STARTED", current=0)
    token = worker.tokens.issue(jobs=job)
    url = f"{node.url}/bridge/jobs/{job}/events?token={token}"
    response = requests.get(url, stream=True, timeout=(10, 20))
    count, body = 900, "x" * 20_000  # 18 MB, more than any socket holds
    for start in range(0, count, 100):
        batch = [worker.event_publication(job, data=body) for _ in range(start, start + 100)]
        worker.journal.publish(batch)
    worker.state(job, "SUCCESS", current=1)
    client = Client(node.url)
    assert client.ask("watch", {"job": job, "token": token, "since": count})["ok"], "it serves"
    client.close()

    seqs, final = [], ""
    for line in response.iter_lines(chunk_size=65536, decode_unicode=True):
        if line.startswith('data: {"job"'):
            seqs.append(json.loads(line[6:])["seq"])
        if '"SUCCESS"' in line:
            final = line
            break
    response.close()
    assert seqs == list(range(1, count + 1))
    assert final


@pytest.mark.parametrize("mode", MODES)
def test_who_never_reads_is_cut_off(
    shared_settings: Settings, worker: Worker, job: str, mode: str
) -> None:
    with running(shared_settings, "--async-mode", mode, BRIDGE_QUIET_SECONDS="1") as node:
        worker.state(job, "STARTED", current=0)
        url = f"{node.url}/bridge/jobs/{job}/events?token={worker.tokens.issue(jobs=job)}"
        response = requests.get(url, stream=True, timeout=(10, 20))
        assert metric(node, "streams") == 1
        batch = [worker.event_publication(job, data="x" * 60_000) for _ in range(300)]
        worker.journal.publish(batch)
        wait_until(lambda: metric(node, "streams") == 0)
        response.close()


def test_curl(node: Node, worker: Worker, job: str) -> None:
    curl = shutil.which("curl")
    if curl is None:
        missing("curl", "apt-get install curl")
    assert curl is not None
    worker.state(job, "STARTED", current=1)
    token = worker.tokens.issue(jobs=job)
    process = subprocess.Popen(
        [curl, "-sSN", "-H", f"Authorization: Bearer {token}",
         f"{node.url}/bridge/jobs/{job}/events"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    lines: list[str] = []
    try:
        for line in process.stdout:  # each as soon as it was sent, or this waits for ever
            lines.append(line)
            if '"current":1' in line:
                worker.event(job, "row", data=1)
            if "event: row" in line:
                worker.state(job, "SUCCESS", current=2)
            if '"SUCCESS"' in line:
                break
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
    assert "id: 1\n" in lines


def test_a_stopping_node_ends_its_streams(shared_settings: Settings, worker: Worker) -> None:
    job = uuid.uuid4().hex
    worker.state(job, "STARTED", current=1)
    for mode in MODES:
        with running(shared_settings, "--async-mode", mode) as node:
            url = f"{node.url}/bridge/jobs/{job}/events"
            listener = Listener(url, worker.tokens.issue(jobs=job))
            listener.wait(1)
            assert node.stop() == 0
            wait_until(lambda listener=listener: listener.ended)  # type: ignore[misc]
            listener.close()


def test_refusals_are_those_of_the_snapshot(node: Node, worker: Worker, job: str) -> None:
    worker.state(job, "STARTED")
    url = f"{node.url}/bridge/jobs"
    cases = [
        (f"{job}/events", {}, 403), ("unknown/events", {}, 403),
        (f"{job}/events?token=forged", {}, 403), ("a b/events", {}, 400),
        (f"{job}/events?since=-1", {}, 400),
        (f"{job}/events", {"Last-Event-ID": "7; drop"}, 400),
        (f"{job}/events", {"Last-Event-ID": "9" * 17}, 400),
    ]  # fmt: skip
    for path, headers, status in cases:
        answer = requests.get(f"{url}/{path}", headers=headers, timeout=30)
        assert answer.status_code == status, path
        assert answer.json()["ok"] is False
    known, unknown = (requests.get(f"{url}/{each}/events", timeout=30) for each in (job, "other"))
    assert known.content == unknown.content
    ended = worker.tokens.issue(jobs=job, expires=1)
    wait_until(
        lambda: requests.head(f"{url}/{job}/events?token={ended}", timeout=30).status_code == 401
    )


def test_one_address_and_one_user_get_only_so_many(strict: Node, worker: Worker, job: str) -> None:
    worker.state(job, "STARTED", current=1, user="ada")
    url = f"{strict.url}/bridge/jobs/{job}/events"
    anyone, ada = worker.tokens.issue(jobs=job), worker.tokens.issue(user="ada")
    first = Listener(url, ada)
    second = requests.get(url, headers={"Authorization": f"Bearer {ada}"}, timeout=30)
    assert (second.status_code, second.json()["error"]) == (429, "too_many")
    other = Listener(url, anyone)
    third = requests.get(url, headers={"Authorization": f"Bearer {anyone}"}, timeout=30)
    assert (third.status_code, third.json()["error"]) == (429, "too_many")
    for listener in (first, other):
        listener.wait(1)
        listener.close()

    def is_let_in() -> bool:
        worker.state(job, current=2, user="ada")
        return requests.head(url, params={"token": ada}, timeout=30).status_code == 200

    wait_until(is_let_in)


def test_the_queue_is_lost_and_comes_back_empty(own_redis: RedisServer, job: str) -> None:
    given = {"message_queue": own_redis.url, "channel": uuid.uuid4().hex, "secret_key": SECRET}
    settings = Settings.load(given, environ={})
    with running(settings) as node:
        worker = Worker(settings)
        worker.state(job, "STARTED", current=1)
        worker.event(job, data="before")
        token = worker.tokens.issue(jobs=job)
        listener = Listener(f"{node.url}/bridge/jobs/{job}/events", token)
        wait_until(lambda: listener.seqs() == [1])
        own_redis.stop()
        wait_until(lambda: requests.get(f"{node.url}/readyz", timeout=30).status_code == 503)
        own_redis.start()
        again = Worker(settings)
        again.state(job, "STARTED", current=2)
        again.event(job, data="after")
        again.state(job, "SUCCESS", current=3)
        listener.wait(3)
        rows = [each.data["data"] for each in listener.sent if each.name == "row"]
        assert rows == ["before", "after"]
        assert "bridge:gap" in [each.name for each in listener.sent], "a lost journal is told"
        listener.close()


PAGE = """(url) => {
    window.told = [];
    window.source = new EventSource(url);
    window.source.addEventListener("row", (e) => window.told.push(Number(e.lastEventId)));
    window.source.addEventListener("progress", (e) => {
        window.state = JSON.parse(e.data);
    });
}"""


@pytest.mark.browser
def test_an_event_source_goes_on_with_another_node(
    chromium: Browser, shared_settings: Settings, worker: Worker, job: str
) -> None:
    """The node dies; the browser connects anew by itself, and neither misses nor repeats."""
    worker.state(job, "STARTED", current=0)
    worker.event(job)
    token, port = worker.tokens.issue(jobs=job), str(free_port())
    context = chromium.new_context(bypass_csp=True)  # the test's own scripts, not the stream
    page = context.new_page()
    with running(shared_settings, "--port", port) as node:
        page.goto(f"{node.url}/healthz")
        page.evaluate(PAGE, f"/bridge/jobs/{job}/events?token={token}")
        page.wait_for_function("window.told.length === 1")
        worker.event(job)
        page.wait_for_function("window.told.length === 2")
        node.stop()
    worker.event(job)
    with running(shared_settings, "--port", port):
        page.wait_for_function("window.told.length === 3")
        worker.event(job)
        worker.state(job, "SUCCESS", current=4)
        page.wait_for_function("window.state.state === 'SUCCESS'")
        assert page.evaluate("window.told") == [1, 2, 3, 4]
        context.close()


# The parts, without a node.


def a_message(rev: int, seq: int, kind: str = EVENT, array: str | None = None) -> Message:
    if array is None and kind == EVENT:
        array = json.dumps(["row", {"job": "a", "rev": rev, "seq": seq, "data": None}])
    return Message("a", 1, rev, seq, kind, array or json.dumps(["progress", a_state(rev, seq)]))


def a_state(rev: int, last_seq: int, state: str = "PROGRESS") -> dict[str, object]:
    return {
        "job": "a",
        "rev": rev,
        "last_seq": last_seq,
        "epoch": 1,
        "state": state,
        "current": rev,
    }


def a_stream(inbox: Inbox, *readings: Reading | None, since: int = 0) -> Stream:
    """A stream of a job of which nothing is known at first; None: the journal is away."""
    left = iter(readings)

    def read(_: object) -> list[Reading]:
        reading = next(left, None)
        if reading is None:
            raise QueueUnavailable("away")
        return [reading]

    answer = {"snapshot": None, "events": [], "gap": False}
    return Stream("a", since, answer, inbox, read, lambda: None)


def told(stream: Stream) -> list[str]:
    return [piece.decode() for piece in stream][1:]


def test_an_inbox_keeps_the_newest_of_states_and_is_bounded() -> None:
    inbox = Inbox()
    for rev in range(1, 4):
        inbox.put(a_message(rev, 0, STATE))
    assert [message.rev for message in inbox.take(0).messages] == [3]
    for seq in range(1, MAX_MESSAGES + 2):
        inbox.put(a_message(seq, seq))
    taken = inbox.take(0)
    assert (taken.messages, taken.missed, taken.ended) == ([], True, False)
    assert inbox.take(0).missed is False


def test_what_did_not_fit_is_read_from_the_journal() -> None:
    inbox = Inbox()
    for seq in range(1, MAX_MESSAGES + 2):
        inbox.put(a_message(10 + seq, seq))
    events = [{"name": "row", "job": "a", "rev": 10 + s, "seq": s} for s in range(1, 400)]
    stream = iter(a_stream(inbox, None, Reading(a_state(999, 399), events, False, 399)))
    pieces = [next(stream) for _ in range(1 + 399 + 1)]
    assert [piece.split()[1] for piece in pieces[1:400]] == [b"%d" % s for s in range(1, 400)]
    assert b"event: progress" in pieces[-1]


def test_nonsense_from_the_queue_is_left_out() -> None:
    inbox = Inbox()
    nonsense = [
        "[",
        '["row",{"rev":5,"seq":"x"}]',
        '["row",{"rev":[],"seq":1}]',
        "[1]",
        "7",
        '["row",5]',
    ]
    for array in nonsense:
        inbox.put(a_message(5, 1, array=array))
    inbox.put(a_message(6, 0, STATE))
    inbox.end("bridge:expired", {"job": "a"})
    pieces = told(a_stream(inbox))
    assert len(pieces) == 2
    assert pieces[0].startswith("id: 0\nevent: progress\n")


@given(name=st.text(max_size=20), value=st.text(max_size=20))
@effort(max_examples=60, deadline=None)
def test_nothing_in_a_name_or_a_value_makes_a_line_of_its_own(name: str, value: str) -> None:
    inbox = Inbox()
    inbox.put(a_message(2, 1, array=json.dumps([name, {"rev": 2, "seq": 1, "data": value}])))
    inbox.end()
    for piece in told(a_stream(inbox)):
        kinds = [line.partition(":")[0] for line in piece.strip("\n").split("\n")]
        assert kinds == ["id", "event", "data"]
        assert "\r" not in piece


def test_a_silent_stream_says_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.01)
    stream = iter(a_stream(Inbox()))
    next(stream)
    assert next(stream) == b": alive\n\n"


def test_a_journal_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_PAUSE_SECONDS", 0.01)
    inbox = Inbox()
    inbox.put(a_message(9, 2))
    events = [{"name": "row", "job": "a", "rev": 8 + s, "seq": s} for s in (1, 2)]
    stream = iter(a_stream(inbox, None, None, Reading(a_state(11, 2), events, False, 2)))
    pieces = [next(stream) for _ in range(4)]
    assert [piece.splitlines()[0] for piece in pieces[1:]] == [b"id: 1", b"id: 2", b"id: 2"]
