"""No such job and not yours: the same answer, in content, in time, and in what is read for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import pytest
import requests

from bridge.settings import Settings
from bridge.tokens import Tokens
from tests.nodes import SECRET, Worker
from tests.relay.guest import Guest, LoginNode

ROUNDS = 80


@pytest.fixture(scope="module")
def login_node(shared_settings: Settings) -> Iterator[LoginNode]:
    node = LoginNode(shared_settings, BRIDGE_MESSAGES_RATE="100000")
    yield node
    node.stop()


@pytest.fixture
def known(worker: Worker, job: str) -> str:
    """A job of somebody else, with a big state and many events."""
    worker.state(job, "STARTED", user="somebody", meta={"text": "x" * 20_000})
    for number in range(50):
        worker.event(job, data=number)
    return job


def tokens_of_others(worker: Worker) -> dict[str, Any]:
    issue = worker.tokens.issue
    past = Tokens([SECRET], seconds=60, clock=lambda: time.time() - 3600)
    return {
        "none": None,
        "empty": "",
        "forged": "forged",
        "of another job": issue(jobs="other", actions=["watch", "cancel"]),
        "of another key": Tokens(["another secret key"], seconds=60).issue(jobs="other"),
        "of another root": issue(root="other", actions=["watch", "cancel"]),
        "of another user": issue(user="other", actions=["watch", "cancel"]),
        "of another job, expired": past.issue(jobs="other"),
    }


def answers_in_the_same_time(ask: Callable[[str], Any], known: str, noise: float) -> list[Any]:
    """Ask in turn; the medians must come close: not each time, as on a busy machine, but once."""
    answers = []
    for _ in range(5):
        seconds: dict[str, list[float]] = {known: [], "never-heard-of": []}
        for _ in range(ROUNDS):
            for job, taken in seconds.items():
                began = time.perf_counter()
                answers.append(ask(job))
                taken.append(time.perf_counter() - began)
        of_known, of_unknown = (median(taken) for taken in seconds.values())
        if abs(of_known - of_unknown) < max(0.5 * of_unknown, noise):
            return answers
    pytest.fail(f"{of_known} s for a job of others, {of_unknown} s for none")


@pytest.mark.parametrize("event", ["watch", "cancel"])
def test_over_socketio(login_node: LoginNode, worker: Worker, known: str, event: str) -> None:
    guest = Guest(login_node.url)
    for name, token in tokens_of_others(worker).items():
        data = {"token": token}
        answers = answers_in_the_same_time(
            lambda job, data=data: guest.ask(event, {"job": job, **data}), known, 0.001
        )
        assert answers[0]["error"] == "forbidden", name
        assert all(answer == answers[0] for answer in answers), name
    guest.close()


def test_over_http(login_node: LoginNode, worker: Worker, known: str) -> None:
    with requests.Session() as session:
        for name, token in tokens_of_others(worker).items():
            headers = {"Authorization": f"Bearer {token}"} if token else {}

            def ask(job: str, headers: dict[str, str] = headers) -> Any:
                url = f"{login_node.url}/bridge/jobs/{job}"
                answer = session.get(url, headers=headers, timeout=30)
                kept = {k: v for k, v in answer.headers.items() if k != "Date"}
                return answer.status_code, kept, answer.json()

            answers = answers_in_the_same_time(ask, known, 0.002)
            assert answers[0][0] == 403, name
            assert all(answer == answers[0] for answer in answers), name


@pytest.mark.parametrize("event", ["watch", "cancel"])
def test_as_much_is_read_for_a_job_of_others_as_for_none(
    login_node: LoginNode, worker: Worker, known: str, event: str
) -> None:
    guest = Guest(login_node.url)
    for name, token in tokens_of_others(worker).items():
        reads = []
        for job in (known, "never-heard-of"):
            before = login_node.counts()["reads"]
            guest.ask(event, {"job": job, "token": token})
            reads.append(login_node.counts()["reads"] - before)
        # The app's session may decide here, or a token of a root or user, by what the job says.
        assert reads[0] == reads[1] == 1, name
    guest.close()


def test_a_token_for_the_job_is_checked_before_anything_is_read(
    login_node: LoginNode, worker: Worker, known: str
) -> None:
    path = f"{login_node.url}/bridge/jobs"
    foreign = {"Sec-Fetch-Site": "cross-site"}  # no session decides
    before = login_node.counts()["reads"]
    for name, token in tokens_of_others(worker).items():
        if "root" in name or "user" in name:
            continue
        for job in (known, "never-heard-of"):
            headers = {**foreign, "Authorization": f"Bearer {token}"}
            assert requests.get(f"{path}/{job}", headers=headers, timeout=30).status_code == 403
            answer = requests.post(f"{path}/{job}/cancel", headers=headers, timeout=30)
            assert answer.status_code == 403

    assert login_node.counts()["reads"] == before
