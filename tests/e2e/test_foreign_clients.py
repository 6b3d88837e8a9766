"""Jobs of real workers, as python-socketio's and Node's own clients see them."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest
import requests

from tests.conftest import missing, wait_until
from tests.e2e.conftest import Foreign, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.redis]

CSV = b"name,age\nann,30\nbob\ncy,40\ndan,1,2\n"


def states(received: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    return [data for name, data in received if name == "progress"]


def test_a_job_is_followed_from_its_start_to_its_end(stack: Stack, foreign: Foreign) -> None:
    started = stack.start("metronome", steps=60, interval=0.05)
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
    assert counts[-1] == 60


def test_a_late_joiner_gets_the_state_and_every_event(stack: Stack, foreign: Foreign) -> None:
    started = stack.upload("import_csv", "people.csv", CSV)
    stack.wait_for(started, "SUCCESS")

    answer = foreign.watch(started)

    assert answer["snapshot"]["state"] == "SUCCESS"
    assert [event["name"] for event in answer["events"]] == ["row_rejected", "row_rejected"]
    assert [event["seq"] for event in answer["events"]] == [1, 2]
    assert {event["data"]["line"] for event in answer["events"]} == {3, 5}
    assert not answer["gap"]
    assert [event["seq"] for event in foreign.watch(started, since=1)["events"]] == [2]


def test_retry_and_failure_are_told(stack: Stack, foreign: Foreign) -> None:
    started = stack.start("flaky", failures=1, countdown=1, outcome="failure")
    answer = foreign.watch(started)
    wait_until(
        lambda: [s for s in states(foreign.received()) if s["state"] == "FAILURE"], seconds=30
    )
    seen = [state for state in (answer["snapshot"], *states(foreign.received())) if state]
    retry = next(state for state in seen if state["state"] == "RETRY")
    assert retry["next_at"] > retry["started_at"]
    assert seen[-1]["error"]["type"]
    assert seen[-1]["error"]["message"]
    assert [run["state"] for run in seen[-1]["runs"]] == ["RETRY", "FAILURE"]


def test_who_lost_the_connection_gets_what_was_missed(stack: Stack, foreign: Foreign) -> None:
    started = stack.start("metronome", steps=120, interval=0.05)
    seen = {event["seq"] for event in foreign.watch(started)["events"]}
    wait_until(lambda: _seqs(foreign), what="an event")
    foreign.cut()
    seen.update(_seqs(foreign))
    assert seen == set(range(1, max(seen) + 1)), "no hole so far"
    answer = foreign.watch(started, since=max(seen))
    wait_until(lambda: 10 in _seqs(foreign) or answer["snapshot"]["last_seq"] == 10)
    missed = [event["seq"] for event in answer["events"]]
    # What came while the ack was on its way may be in both: that is the client's rule.
    later = {seq for seq in _seqs(foreign) if seq > max([*seen, *missed])}
    assert [*sorted(seen), *missed, *sorted(later)] == list(range(1, 11))


def _seqs(foreign: Foreign) -> list[int]:
    return [data["seq"] for name, data in foreign.received() if name == "tick"]


def test_a_job_is_cancelled(stack: Stack, foreign: Foreign) -> None:
    started = stack.start("metronome", steps=2000, interval=0.05)
    foreign.watch(started)
    wait_until(lambda: states(foreign.received()), what="a state")
    assert foreign.ask("cancel", started) == {"ok": True}
    wait_until(lambda: states(foreign.received())[-1]["state"] == "REVOKED", seconds=30)


def curl(stack: Stack, started: dict[str, str], rest: str = "", *options: str) -> dict[str, Any]:
    program = shutil.which("curl")
    if program is None:
        missing("curl", "apt-get install curl")
    done = subprocess.run(
        [str(program), "-sS", "-H", f"Authorization: Bearer {started['token']}", *options,
         f"{stack.url}/bridge/jobs/{started['job']}{rest}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def test_curl_asks_again_and_again(stack: Stack) -> None:
    """Late, live and replay by snapshots alone: each event comes once."""
    started = stack.start("metronome", steps=40, interval=0.05)
    stack.wait_for(started, "PROGRESS", "SUCCESS")
    seqs: list[int] = []
    while True:
        answer = curl(stack, started, f"?since={seqs[-1] if seqs else 0}")
        seqs += [event["seq"] for event in answer["events"]]
        if answer["snapshot"]["state"] == "SUCCESS":
            break
    assert seqs == list(range(1, 11))
    assert answer["snapshot"]["current"] == 40


def test_curl_sees_a_failure_and_cancels(stack: Stack) -> None:
    failing = stack.start("flaky", failures=1, countdown=0, outcome="failure")
    stack.wait_for(failing, "FAILURE")
    assert curl(stack, failing)["snapshot"]["error"]["type"] == "Breakdown"
    endless = stack.start("metronome", steps=2000, interval=0.05)
    assert curl(stack, endless, "/cancel", "-X", "POST") == {"ok": True}
    stack.wait_for(endless, "REVOKED")


def test_without_the_right_token_there_is_nothing_to_see(stack: Stack, foreign: Foreign) -> None:
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
