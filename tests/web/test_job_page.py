"""`/jobs/<job>`: what it shows, and to whom."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from bridge.relay.reader import Reader
from web.job_page import facts, told
from web.sound import sound
from web.timeline import Timeline, stages_of
from web.workflow import tree_of

Browser = Callable[[str], FlaskClient]


def run(
    number: int, start: float, end: float | None, state: str, attempt: int | None = None
) -> Any:
    attempt = number - 1 if attempt is None else attempt
    return {"run": number, "attempt": attempt, "started_at": start, "ended_at": end, "state": state}


@pytest.fixture
def ann(signed_in: Browser) -> FlaskClient:
    return signed_in("ann")


def test_not_yours_and_no_such_job_are_answered_alike(
    app: Flask, signed_in: Browser, known: Any
) -> None:
    known.add("a-job", user="ann", message="a secret")
    for browser in (app.test_client(), signed_in("bob")):
        theirs, nothing = (browser.get(f"/jobs/{job}") for job in ("a-job", "no-job"))
        assert theirs.status_code == nothing.status_code == 403
        # Only the way to sign in names the address, which the visitor knows.
        assert theirs.text.replace("a-job", "") == nothing.text.replace("no-job", "")
        assert dict(theirs.headers) | {"Content-Length": ""} == dict(nothing.headers) | {
            "Content-Length": ""
        }
        assert "secret" not in theirs.text
        bad = browser.get("/jobs/a-job?token=nonsense")
        assert bad.status_code == 403


def test_the_owner_and_the_admin_see_it(signed_in: Browser, known: Any) -> None:
    known.add("a-job", user="ann", message="a secret")
    for user in ("ann", "admin"):
        answer = signed_in(user).get("/jobs/a-job")
        assert answer.status_code == 200
        assert "a secret" in answer.text
        assert "Share a link that works for 1 hour" in answer.text
    assert signed_in("admin").get("/jobs/no-job").status_code == 404
    assert signed_in("ann").get("/jobs/a%20job").status_code == 400


def test_a_stranger_with_a_link_sees_it_until_the_link_ends(app: Flask, known: Any) -> None:
    known.add("a-job", user="ann", root="a-job", message="a secret")
    known.add("a-child", user="ann", root="a-job", parent="a-job", message="another secret")
    bridge = app.extensions["celery-bridge"]
    stranger = app.test_client()
    token = bridge.issue_token("a-job", expires=60)
    answer = stranger.get(f"/jobs/a-job?token={token}")
    assert answer.status_code == 200
    assert "a secret" in answer.text
    assert "another secret" not in answer.text
    assert "a-child" not in answer.text, "the link is for one job"
    assert "Share a link" not in answer.text
    assert answer.headers["Referrer-Policy"] == "strict-origin", "the address holds the token"
    assert answer.headers["Cache-Control"] == "no-store"
    assert stranger.get(f"/jobs/a-child?token={token}").status_code == 403
    ended = bridge.issue_token("a-job", expires=0.001)
    time.sleep(0.01)
    answer = stranger.get(f"/jobs/a-job?token={ended}")
    assert answer.status_code == 401
    assert "This link has expired" in answer.text
    assert "secret" not in answer.text


def test_the_page_without_a_script_shows_the_state_and_refreshes(
    ann: FlaskClient, known: Any
) -> None:
    refresh = '<noscript><meta http-equiv="refresh" content="5"></noscript>'
    known.add(
        "a-job", user="ann", current=3, total=4, unit="rows", message="<i>", queued_at=1e9,
        started_at=1e9, runs=[run(1, 1e9, None, "PROGRESS")], worker="w@host", last_seq=1,
        stages=[{"name": "Reading", "current": 1, "total": 2, "weight": 1, "state": "PROGRESS"}],
    )  # fmt: skip
    known.events["a-job"] = [
        {"name": "row", "seq": 1, "at": 1e9, "data": {"line": 7, "why": "<u>"}}
    ]
    html = ann.get("/jobs/a-job").text
    for text in (
        "75%",
        "3 of 4 rows",
        "Running",
        "w@host",
        "Reading",
        "line 7",
        "&lt;u&gt;",
        "01:46:40 UTC",
        "running for",
    ):
        assert text in html, text
    assert refresh in html
    known.records["a-job"] |= {"state": "SUCCESS", "result": {"rows": 1234}, "ended_at": 1e9 + 5}
    html = ann.get("/jobs/a-job").text
    assert "1,234" in html
    assert refresh not in html


OURS = {"Origin": "http://localhost"}
AS_A_PAGE = {**OURS, "Accept": "text/html,*/*;q=0.8"}


def test_a_form_cancels(ann: FlaskClient, known: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    outcome = "ok"
    monkeypatch.setattr(Reader, "cancel", lambda _, job: asked.append(job) or outcome)
    known.add("a-job", user="ann")
    known.add("others", user="bob")
    form = '<noscript><form method="post" action="/jobs/a-job/cancel">'
    assert form in ann.get("/jobs/a-job").text
    assert form in ann.get("/jobs").text
    answer = ann.post("/jobs/a-job/cancel", headers=OURS)
    assert (answer.status_code, answer.location) == (303, "/jobs/a-job?stopping=1")
    page = ann.get(answer.location).text
    assert "It was asked to stop." in page
    assert form not in page
    outcome = "finished"
    assert ann.post("/jobs/a-job/cancel", headers=OURS).status_code == 303
    assert asked == ["a-job", "a-job"]
    for job in ("others", "nowhere"):
        assert ann.post(f"/jobs/{job}/cancel", headers=OURS).status_code == 403
    # A cookie is no proof that our page has sent it.
    assert ann.post("/jobs/a-job/cancel").status_code == 403
    assert ann.post("/jobs/a%20job/cancel", headers=OURS).status_code == 400
    assert asked == ["a-job", "a-job"]
    known.records["a-job"]["state"] = "SUCCESS"
    assert form not in ann.get("/jobs/a-job").text + ann.get("/jobs").text


def test_who_has_a_token_that_cancels_has_a_form_that_does(
    app: Flask, known: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reader, "cancel", lambda *_: "ok")
    known.add("a-job", user="ann")
    token = app.extensions["celery-bridge"].issue_token("a-job", actions=("watch", "cancel"))
    stranger = app.test_client()
    assert f'name="token" value="{token}"' in stranger.get(f"/jobs/a-job?token={token}").text
    answer = stranger.post("/jobs/a-job/cancel", data={"token": token})
    assert (answer.status_code, f"token={token}" in answer.location) == (303, True)
    watching = app.extensions["celery-bridge"].issue_token("a-job")
    assert "/cancel" not in stranger.get(f"/jobs/a-job?token={watching}").text
    answer = stranger.post("/jobs/a-job/cancel", data={"token": watching})
    assert answer.status_code == 403


def test_a_form_makes_a_link_on_a_page(app: Flask, ann: FlaskClient, known: Any) -> None:
    known.add("a-job", user="ann", message="a secret")
    known.add("others", user="bob")
    site = {**AS_A_PAGE, "Origin": "https://localhost"}  # A proxy speaks HTTPS for us.
    html = ann.post("/demo/jobs/a-job/link", headers=site).text
    (link,) = re.findall(r'value="(https://localhost/jobs/a-job\?token=[^"]+)"', html)
    assert "a secret" in app.test_client().get(link.removeprefix("https://localhost")).text
    refused = ann.post("/demo/jobs/others/link", headers=AS_A_PAGE)
    assert (refused.status_code, refused.mimetype) == (403, "text/html")


def test_the_last_events_are_shown(ann: FlaskClient, known: Any) -> None:
    known.add("a-job", user="ann", last_seq=1000)
    known.events["a-job"] = [
        {"name": "row", "seq": n, "at": 1e9, "data": f"event-{n}"} for n in range(1, 1001)
    ]
    found = re.findall(r"event-(\d+)", ann.get("/jobs/a-job").text)
    assert found == [str(n) for n in range(801, 1001)]


def test_an_error_is_shown_as_text(ann: FlaskClient, known: Any) -> None:
    error = {"type": "ValueError", "message": "<script>alert(1)</script>\nline 2"}
    known.add("a-job", "FAILURE", user="ann", error=error)
    html = ann.get("/jobs/a-job").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\nline 2" in html


def test_the_workflow_is_a_tree_of_what_the_visitor_may_see(signed_in: Browser, known: Any) -> None:
    known.add("first", "SUCCESS", user="ann", root="first")
    known.add("second", user="ann", root="first", parent="first")
    known.add("third", user="ann", root="first", parent="second")
    known.add("others", user="bob", root="first", parent="first")
    for job in ("first", "second", "third"):
        html = signed_in("ann").get(f"/jobs/{job}").text
        tree = html.partition('<ul class="tree">')[2]
        shown = re.findall(r'/jobs/(\w+)"|aria-current="page"', tree.partition("</section>")[0])
        assert sorted(filter(None, shown)) == sorted({"first", "second", "third"} - {job})
        assert "/jobs/others" not in html


def test_a_tree_with_loops_and_orphans_ends() -> None:
    def node(job: str, parent: str | None) -> Any:
        return {"job": job, "parent": parent, "queued_at": None, "started_at": None}

    records = [node("a", "b"), node("b", "a"), node("c", "c"), node("d", "nowhere"), node("e", "d")]

    def names(nodes: Any) -> Any:
        return [(each.record["job"], names(each.children)) for each in nodes]

    found = names(tree_of(records, lambda _: True))
    assert ("d", [("e", [])]) in found
    assert {name for name, _ in found} == {"a", "b", "c", "d"}


def record(**fields: Any) -> dict[str, Any]:
    blank = {"state": "PROGRESS", "queued_at": None, "ended_at": None, "updated_at": None}
    return {**blank, "next_at": None, "runs": [], "stages": [], "unit": None, **fields}


def test_the_timeline_of_a_retried_job() -> None:
    runs = [run(1, 102, 104, "RETRY"), run(2, 108, 110, "SUCCESS")]
    found = Timeline.of(record(state="SUCCESS", queued_at=100, ended_at=110, runs=runs), now=500)
    assert [(lane.name, lane.told) for lane in found.lanes] == [
        ("Queue", "waited 2 sec"),
        ("Try 1", "failed after 2 sec, to be tried again"),
        ("Try 2", "done after 2 sec"),
    ]
    bars = [(bar.kind, bar.start, bar.width) for lane in found.lanes for bar in lane.bars]
    assert bars == [("queued", 0, 20), ("retrying", 20, 20), ("pause", 40, 40), ("done", 80, 20)]
    assert found.ticks == tuple((n * 20, f"{n * 2} sec") for n in range(6))


@pytest.mark.parametrize("seconds", [0.003, 0.7, 4.4, 15, 59, 61, 3000, 90_000, 1e7])
def test_ticks_are_round_and_few(seconds: float) -> None:
    ticks = Timeline.of(record(state="SUCCESS", queued_at=100, ended_at=100 + seconds), 0).ticks
    assert 2 <= len(ticks) <= 6
    assert ticks[0] == (0, "0 sec")
    assert len({tick for _, tick in ticks}) == len(ticks)


def test_a_retry_that_waits_has_not_ended() -> None:
    known = sound({"state": "RETRY", "started_at": 100, "ended_at": 101, "next_at": 100.5})
    assert "Ended" not in [name for name, _, _ in facts(known, 101)]
    known["runs"] = [run(1, 100, 101, "RETRY")]
    assert Timeline.of(known, 101).lanes[-1].told == "any moment"


def test_pairs_are_told_as_pairs() -> None:
    assert told({"top": [["the", 164_706], ["same", 5]]}) == "top the 164,706 · same 5"
    assert told([1, [2, 3, 4]]) == "1 · 2 · 3 · 4"


def test_the_timeline_of_a_job_that_waits_for_its_next_try() -> None:
    runs = [run(1, 100, 104, "RETRY")]
    found = Timeline.of(record(state="RETRY", queued_at=100, next_at=120, runs=runs), now=110)
    assert [(lane.name, lane.told) for lane in found.lanes][-1] == ("Next try", "in 10 sec")
    assert found.lanes[-1].bars[0].start == 20


def test_a_redelivered_run_is_no_new_try() -> None:
    runs = [run(1, 100, None, "LOST", 0), run(2, 105, None, "PROGRESS", 0)]
    lanes = Timeline.of(record(queued_at=100, runs=runs), now=110).lanes
    assert [(lane.name, lane.told) for lane in lanes][1:] == [
        ("Try 1", "its worker was lost"),
        ("Run 2", "running for 5 sec"),
    ]


def test_a_job_that_has_not_begun() -> None:
    (lane,) = Timeline.of(record(state="PENDING", queued_at=100), now=160).lanes
    assert lane.told == "waiting for 1 min"
    assert Timeline.of(record(state="PENDING"), now=160).lanes == ()


def test_stages_are_as_wide_as_their_weight() -> None:
    stages = [
        {"name": "a", "current": 1, "total": 4, "weight": 0.25, "state": "SUCCESS"},
        {"name": "b", "current": 1, "total": 4, "weight": 0.75, "state": "PROGRESS"},
    ]
    first, second = stages_of(record(stages=stages, unit="rows"))
    assert (first.start, first.width, first.done, first.percent) == (0, 25, 25, 100)
    assert (second.start, second.width, second.done, second.told) == (25, 75, 18.75, "1 of 4 rows")
