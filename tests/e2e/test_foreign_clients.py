"""Jobs of real workers, as python-socketio's and Node's own clients see them."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.conftest import wait_until
from tests.e2e.conftest import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.redis]

CSV = b"name,age\nann,30\nbob\ncy,40\ndan,1,2\n"


def states(received: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    return [data for name, data in received if name == "progress"]


def test_a_job_is_followed_from_its_start_to_its_end(stack: Stack, foreign: Any) -> None:
    started = stack.start("metronome", steps=20, interval=0.05)
    answer = foreign.watch(started)
    assert answer["ok"]
    assert answer["job"] == started["job"]

    wait_until(
        lambda: [s for s in states(foreign.received()) if s["state"] == "SUCCESS"], seconds=30
    )

    seen = states(foreign.received())
    assert len(seen) > 3, "live states came before the end"
    revs = [state["rev"] for state in seen]
    assert revs == sorted(set(revs))
    counts = [state["current"] for state in seen if state["current"] is not None]
    assert counts == sorted(counts)
    assert counts[-1] == 20


def test_a_late_joiner_gets_the_state_and_every_event(stack: Stack, foreign: Any) -> None:
    started = stack.upload("import_csv", "people.csv", CSV)
    stack.wait_for(started, "SUCCESS")

    answer = foreign.watch(started)

    assert answer["snapshot"]["state"] == "SUCCESS"
    assert [event["name"] for event in answer["events"]] == ["row_rejected", "row_rejected"]
    assert [event["seq"] for event in answer["events"]] == [1, 2]
    assert {event["data"]["line"] for event in answer["events"]} == {3, 5}
    assert not answer["gap"]
    assert [event["seq"] for event in foreign.watch(started, since=1)["events"]] == [2]


def test_retry_and_failure_are_told(stack: Stack, foreign: Any) -> None:
    started = stack.start("flaky", failures=1, countdown=1, outcome="failure")
    foreign.watch(started)
    wait_until(
        lambda: [s for s in states(foreign.received()) if s["state"] == "FAILURE"], seconds=30
    )
    seen = states(foreign.received())
    retry = next(state for state in seen if state["state"] == "RETRY")
    assert retry["next_at"] > retry["started_at"]
    assert seen[-1]["error"]["type"]
    assert seen[-1]["error"]["message"]
    assert [run["state"] for run in seen[-1]["runs"]] == ["RETRY", "FAILURE"]


def test_without_the_right_token_there_is_nothing_to_see(stack: Stack, foreign: Any) -> None:
    started = stack.start("metronome", steps=1, interval=0.01)
    other = stack.start("metronome", steps=1, interval=0.01)
    refused = [
        foreign.watch({"job": started["job"], "token": other["token"]}),
        foreign.watch({"job": "no-such-job", "token": other["token"]}),
        foreign.watch({"job": started["job"], "token": ""}),
        foreign.watch({"job": started["job"], "token": started["token"][:-2]}),
    ]
    assert {answer["error"] for answer in refused} == {"forbidden"}
    bare = requests.get(f"{stack.url}/bridge/jobs/{started['job']}", timeout=30)
    assert (bare.status_code, bare.json()["error"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("metronome", {"steps": "many"}),
        ("metronome", {"steps": True}),
        ("metronome", {"interval": -1}),
        ("metronome", {"stepz": 3}),
        ("flaky", {"outcome": "perhaps"}),
        ("checksum_folder", {"folder": "/etc"}),
        ("import_csv", {}),
    ],
)
def test_a_job_with_bad_input_is_not_started_and_the_reason_is_given(
    stack: Stack, name: str, fields: dict[str, Any]
) -> None:
    answer = requests.post(f"{stack.url}/demo/jobs/{name}", json=fields, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_the_figures_of_the_other_jobs_are_right(stack: Stack) -> None:
    hashed = stack.wait_for(stack.start("checksum_folder"), "SUCCESS")["snapshot"]
    assert hashed["unit"] == "B"
    assert hashed["current"] == hashed["total"] == hashed["result"]["bytes"]
    assert [stage["state"] for stage in hashed["stages"]] == ["SUCCESS", "SUCCESS"]
    words = stack.wait_for(stack.upload("count_words", "a.txt", b"one two two"), "SUCCESS")
    assert "3" in str(words["snapshot"]["result"])
