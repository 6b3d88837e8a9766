"""`/jobs` as the server draws it, and the list that its script reads."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from web.job_page import facts
from web.order import CHOICES, COLUMNS, Order
from web.sound import sound
from web.summaries import GROUPS, KEYS, Line, task_title
from web.throughput import MINUTES, Throughput
from web.timeline import Timeline, stages_of

Browser = Callable[[str], FlaskClient]


def jobs_on(html: str) -> list[str]:
    return re.findall(r'data-job="([^"]+)"', html)


@pytest.fixture
def ann(signed_in: Browser) -> FlaskClient:
    return signed_in("ann")


def test_each_user_sees_their_own_jobs_and_the_admin_all(signed_in: Browser, known: Any) -> None:
    for job, user in (("a1", "ann"), ("b1", "bob"), ("a2", "ann"), ("g1", "guest-1"), ("n1", None)):
        known.add(job, user=user)
    for user, jobs in (
        ("ann", ["a2", "a1"]),
        ("bob", ["b1"]),
        ("admin", ["n1", "g1", "a2", "b1", "a1"]),
    ):
        browser = signed_in(user)
        assert jobs_on(browser.get("/jobs").text) == jobs
        assert [each["job"] for each in browser.get("/demo/jobs").json["jobs"]] == jobs


def test_who_is_nobody_yet_has_none_and_the_journal_is_not_asked(
    client: FlaskClient, known: Any
) -> None:
    known.add("a1", user="ann")
    assert "No jobs yet." in client.get("/jobs").text
    assert client.get("/demo/jobs").json == {"jobs": [], "cursor": None}
    assert known.lists == []


def test_the_first_paint_holds_the_state(ann: FlaskClient, known: Any) -> None:
    known.add(
        "a1", user="ann", current=3_200_000, total=8_100_000, unit="B", rate=41e6,
        message="<b>x</b>", worker="w@host", queue="workers", queued_at=time.time() - 130,
        attempt=2,
    )  # fmt: skip
    html = ann.get("/jobs").text
    line = html[html.index('data-job="a1"') : html.index('<template id="row">')]
    cells = dict(re.findall(r'class="(worker|queue|rate|tries|age)">(?:<time>)?([^<]*)<', line))
    assert cells == {
        "worker": "w@host", "queue": "workers", "rate": "41 MB/s", "tries": "3", "age": "2 min",
    }  # fmt: skip
    for text in ("Running", "39%", "3.2 of 8.1 MB", "41 MB/s", "w@host", "2 min", "Import rows"):
        assert text in html, text
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert '<meta http-equiv="refresh" content="10"></noscript>' in html


@pytest.mark.parametrize(("group", "state"), [(g, states[0]) for g, _, states in GROUPS])
def test_the_filter_is_in_the_address(ann: FlaskClient, known: Any, group: str, state: str) -> None:
    for _, _, states in GROUPS:
        known.add(f"job-{states[0]}", states[0], user="ann")
    html = ann.get(f"/jobs?state={group}").text
    assert jobs_on(html) == [f"job-{state}"]
    assert f'data-group="{group}" data-word' in html
    assert len(jobs_on(ann.get("/jobs?state=nonsense").text)) == len(GROUPS)


def test_the_search_is_in_the_address(ann: FlaskClient, known: Any) -> None:
    known.add("one", user="ann", message="Rows of Oslo", worker="w1")
    known.add("two", "FAILURE", user="ann", error={"type": "Hiccup", "message": "in Lima"})
    for query, jobs in (
        ("oslo", ["one"]), ("ROWS w1", ["one"]), ("rows w2", []), ("hiccup lima", ["two"]),
        ("import", ["two", "one"]), ("   ", ["two", "one"]), ('"><script>', []),
    ):  # fmt: skip
        html = ann.get("/jobs", query_string={"q": query}).text
        assert jobs_on(html) == jobs, query
        assert "<script>" not in html
        assert ("Nothing matches." in html.split('none-found" hidden')[0]) or jobs


def test_the_order_is_in_the_address(ann: FlaskClient, known: Any) -> None:
    now = time.time()
    for job, more in {
        "old": {"current": 9, "total": 10, "rate": 2.0, "worker": "b@host", "queued_at": now - 60},
        "slow": {"current": 1, "total": 10, "rate": 1.5, "worker": "a@host", "attempt": 2},
        "ended": {"state": "SUCCESS", "rate": 99.0, "task": "tasks.archive", "run": 1},
        "queued": {"state": "PENDING", "run": 0, "worker": None},
    }.items():  # fmt: skip
        known.add(job, more.pop("state", "PROGRESS"), user="ann", **more)
    usual = ["queued", "ended", "slow", "old"]
    for sort, jobs in {
        "": usual, "age": usual, "-age": usual[::-1], "nonsense": usual, "--rate": usual,
        "-rate": ["old", "slow"], "rate": ["slow", "old"],
        "-progress": ["old", "slow"], "progress": ["slow", "old"],
        "job": ["ended"], "-job": ["queued", "slow", "old", "ended"],
        "worker": ["slow", "old"], "-worker": ["old", "slow"],
        "-tries": ["slow", "ended", "old"], "state": ["slow", "old", "queued", "ended"],
        "-state": ["ended", "queued", "slow", "old"],
    }.items():  # fmt: skip
        html = ann.get("/jobs", query_string={"sort": sort}).text
        # Who has nothing of the kind comes last, the newest first, as do those that are alike.
        assert jobs_on(html) == jobs + [job for job in usual if job not in jobs], sort
        (way,) = re.findall(r'aria-sort="(\w+)"', html)
        assert way == (
            "descending" if sort in dict(CHOICES) and sort.startswith("-") else "ascending"
        )
        assert (
            len(jobs_on(ann.get("/jobs", query_string={"sort": sort, "state": "done"}).text)) == 1
        )


def test_a_columns_title_leads_to_its_order_and_back() -> None:
    assert [Order().by(column).name for column, _ in COLUMNS] == [
        "state", "job", "-progress", "worker", "-rate", "-tries", "-age",
    ]  # fmt: skip
    for name, words in CHOICES:
        order = Order.of({"sort": name})
        assert (order.name, order.by(order.column).by(order.column)) == (name, order), words


def test_pages_of_the_list(ann: FlaskClient, known: Any) -> None:
    for number in range(5):
        known.add(f"a{number}", user="ann")
    first = ann.get("/demo/jobs?limit=3").json
    rest = ann.get(f"/demo/jobs?limit=3&cursor={first['cursor']}").json
    assert [each["job"] for each in first["jobs"] + rest["jobs"]] == ["a4", "a3", "a2", "a1", "a0"]
    assert rest["cursor"] is None
    assert set(first["jobs"][0]) == set(KEYS)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=x", "limit=-1", "limit=", "cursor=x", "cursor=" + "1" * 18],
)
def test_a_malformed_page_is_refused(ann: FlaskClient, known: Any, query: str) -> None:
    answer = ann.get(f"/demo/jobs?{query}")
    assert (answer.status_code, (answer.json or {})["error"]) == (400, "bad_request")


def test_without_a_journal_the_page_says_so_and_tries_again(ann: FlaskClient) -> None:
    answer = ann.get("/jobs")
    assert answer.status_code == 503
    assert "The journal doesn&#39;t answer" in answer.text
    assert '<meta http-equiv="refresh"' in answer.text
    assert (ann.get("/demo/jobs").json or {})["error"] == "unavailable"


ANYTHING = [
    None,
    True,
    -1,
    1e308,
    10**400,
    "",
    "x",
    "\ud800",
    [],
    [[]],
    [1],
    {},
    {"a": {}},
    [{"run": "x"}],
]


def test_whatever_a_worker_wrote_is_no_fault_of_a_page(ann: FlaskClient, known: Any) -> None:
    keys = set(known.add("clean", user="ann")) - {"job", "rev", "user"}
    for number, value in enumerate(ANYTHING):
        known.records.clear()
        known.add("a1", user="ann").update(dict.fromkeys(keys, value))
        assert jobs_on(ann.get("/jobs").text) == ["a1"], number
        for path in ("/demo/jobs", "/jobs/a1", "/"):
            assert ann.get(path).status_code == 200, (path, number)


def test_each_part_of_a_record_is_made_sound_alone(app: Flask, known: Any) -> None:
    clean = known.add("clean", queued_at=1e9, started_at=1e9, runs=[{}], stages=[{}], error={})
    with app.test_request_context():
        for key in set(clean) - {"job"}:
            for value in ANYTHING:
                record = sound({**clean, key: value})
                line = Line(record, "", 1e9)
                told = (line.word, line.percent, line.amount, line.rate, line.age, line.searched)
                assert told, (key, value)
                assert Timeline.of(record, 1e9), (key, value)
                assert isinstance(stages_of(record), list), (key, value)
                assert isinstance(facts(record, 1e9), list), (key, value)


def test_throughput_counts_ends_by_the_minute() -> None:
    now = 10_000.0
    ends = [now, now - 59, now - 61, now - 60 * MINUTES - 1, now + 5, None]
    found = Throughput.of(({"ended_at": end} for end in ends), now)
    assert found.counts == (0,) * (MINUTES - 2) + (1, 2)
    assert found.told == "3 ended in 30 minutes, 2 in the last minute"
    assert len(found.bars) == MINUTES


def test_titles_of_tasks() -> None:
    assert task_title("tasks.import_rows") == "Import rows"
    assert task_title(None) == "Task"
    assert task_title("a.__") == "Task"


def test_only_an_open_job_may_be_stopped() -> None:
    record = {"state": "RETRY"}
    assert Line(record, "", 0).is_open
    assert not Line({"state": "REVOKED"}, "", 0).is_open
