"""One end-to-end suite for each way to serve: late, live, replay, failure, cancel, reconnect."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import free_port, wait_until
from tests.deployments.conftest import Backstage, snapshot, wait_for_step
from tests.deployments.ways import OF_THEIR_OWN, QUICK, ROOT, Served, Way
from tests.nodes import Client
from tests.sse import Listener

pytestmark = [pytest.mark.e2e, pytest.mark.redis]
STEPS, INTERVAL = 40, 0.025


def rows() -> list[Any]:
    own = [pytest.param(way, id=way.name, marks=pytest.mark.deployments) for way in OF_THEIR_OWN]
    return [pytest.param(way, id=way.name) for way in QUICK] + own


@pytest.fixture(scope="module", params=rows())
def served(request: pytest.FixtureRequest, backstage: Backstage) -> Iterator[Served]:
    way: Way = request.param
    log = backstage.folder / f"{way.name}.log"
    node = Served(way, backstage.environ, free_port(), log)
    yield node
    node.stop()
    assert "Traceback" not in log.read_text(), log.read_text()[-5000:]


class Starter:
    """Starts jobs through the node if it serves an app that can."""

    def __init__(self, backstage: Backstage, served: Served) -> None:
        self._backstage = backstage
        self.url = served.url
        self._app = served.url if served.way.is_app else None

    def start(self, task: str, **fields: Any) -> dict[str, str]:
        return self._backstage.start(task, self._app, **fields)


@pytest.fixture
def jobs(backstage: Backstage, served: Served) -> Starter:
    return Starter(backstage, served)


@pytest.fixture
def transport() -> str:
    return "websocket"


@pytest.fixture
def client(transport: str, served: Served) -> Iterator[Client]:
    made = Client(served.url, transports=[transport])
    assert made.sio.transport() == transport
    yield made
    made.close()


def states(client: Client) -> list[str]:
    return [data["state"] for name, data in list(client.received) if name == "progress"]


def test_it_says_in_which_mode_it_serves(served: Served) -> None:
    assert (
        requests.get(f"{served.url}/readyz", timeout=30).json()["mode"].startswith(served.way.mode)
    )


def join_late(jobs: Starter, client: Client) -> tuple[dict[str, str], dict[str, Any], int]:
    """Watch a job in the middle; a longer one if it has ended by then, on a busy machine."""
    for steps in (STEPS, 4 * STEPS, 16 * STEPS):
        job = jobs.start("metronome", steps=steps, interval=INTERVAL)
        wait_for_step(jobs.url, job, steps // 4)
        ack = client.ask("watch", job)
        if ack["snapshot"]["state"] != "SUCCESS":
            return job, ack, steps
    pytest.fail("each job had ended when it was watched")


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_late_then_live_with_everything_before(jobs: Starter, client: Client) -> None:
    job, ack, steps = join_late(jobs, client)
    wait_until(lambda: "SUCCESS" in states(client), seconds=30)

    assert ack["snapshot"]["current"] >= steps // 4
    replayed = [event["seq"] for event in ack["events"]]
    assert len(replayed) >= 2
    # What came while the ack was on its way may be in both: that is the client's rule.
    live = [seq for seq in client.seqs() if seq > replayed[-1]]
    assert replayed + live == list(range(1, 11)), "nothing is missing, all in order"
    assert client.currents()[-1] == steps
    assert len(client.currents()) >= 2, "it moved"
    late = client.ask("watch", job)
    assert late["snapshot"]["state"] == "SUCCESS"
    assert [event["seq"] for event in late["events"]] == list(range(1, 11))


def test_failure_after_a_retry(jobs: Starter, client: Client) -> None:
    job = jobs.start("flaky", failures=1, countdown=0, outcome="failure")
    client.ask("watch", job)
    wait_until(lambda: "FAILURE" in states(client), seconds=20)
    last = [data for name, data in client.received if name == "progress"][-1]
    assert last["error"]["type"] == "Breakdown"
    assert [run["state"] for run in last["runs"]] == ["RETRY", "FAILURE"]


def test_cancel(jobs: Starter, client: Client) -> None:
    job = jobs.start("metronome", steps=2000, interval=INTERVAL)
    client.ask("watch", job)
    wait_for_step(jobs.url, job, 1)
    assert client.ask("cancel", job) == {"ok": True}
    wait_until(lambda: "REVOKED" in states(client))


def test_who_lost_the_connection_gets_what_was_missed(jobs: Starter) -> None:
    client = Client(jobs.url)
    job = jobs.start("metronome", steps=STEPS, interval=INTERVAL)
    client.ask("watch", job)
    wait_until(lambda: len(client.seqs()) >= 2)
    before = client.sid
    link = hang_up(client)
    wait_for_step(jobs.url, job, STEPS * 3 // 4)
    wait_until(lambda: client.sio.connected and client.sio.get_sid("/bridge") not in (None, before))

    known = client.seqs()
    ack = client.ask("watch", {**job, "since": known[-1]})
    wait_until(lambda: ack["snapshot"]["state"] == "SUCCESS" or "SUCCESS" in states(client))

    missed = [event["seq"] for event in ack["events"]]
    assert missed, "there was something to miss"
    live = [seq for seq in client.seqs() if seq > missed[-1]]
    assert known + missed + live == list(range(1, 11))
    client.close()
    link.close()


def hang_up(client: Client) -> socket.socket:
    """Break the connection as a network does; the client then comes back by itself."""
    link: socket.socket = client.sio.eio.ws.sock
    link.shutdown(socket.SHUT_RDWR)
    return link


def test_a_stream_of_events(jobs: Starter) -> None:
    job = jobs.start("metronome", steps=STEPS, interval=INTERVAL)
    listener = Listener(f"{jobs.url}/bridge/jobs/{job['job']}/events", job["token"])
    wait_until(lambda: "SUCCESS" in [state["state"] for state in listener.states()])
    assert listener.seqs() == list(range(1, 11))
    assert len(listener.states()) >= 3, "it was not held back"
    listener.close()


@pytest.mark.parametrize(
    ("line", "mode", "fix"),
    [
        ("gunicorn -k gthread", "gevent", "BRIDGE_ASYNC_MODE=threading"),
        ("gunicorn -k gevent", "threading", "BRIDGE_ASYNC_MODE=gevent"),
    ],
)
def test_a_server_in_another_mode_is_refused_with_the_fix(
    backstage: Backstage, line: str, mode: str, fix: str
) -> None:
    way = Way("wrong", f"{line} -w 1 -b 127.0.0.1:PORT APP", mode)
    environ = {**os.environ, **backstage.environ, "BRIDGE_ASYNC_MODE": mode}
    done = subprocess.run(
        way.command(free_port()), env=environ, cwd=ROOT, capture_output=True, text=True, timeout=50
    )
    assert done.returncode != 0
    assert fix in done.stderr


def test_the_code_changes_under_flask_run(backstage: Backstage, tmp_path: Path) -> None:
    """The reloader ends the process that serves and starts another; its clients come back."""
    way = next(each for each in QUICK if each.name == "flask run")
    watched = tmp_path / "code.py"
    watched.write_text("")
    log = backstage.folder / "reloaded.log"
    node = Served(way, backstage.environ, free_port(), log, "--extra-files", str(watched))
    job = backstage.start("metronome", node.url, steps=200, interval=INTERVAL)
    client = Client(node.url)
    client.ask("watch", job)
    wait_until(lambda: len(client.currents()) >= 2)
    before = client.sid
    watched.write_text("changed = True")
    wait_until(lambda: "Restarting" in log.read_text())
    wait_until(
        lambda: client.sio.connected and client.sio.get_sid("/bridge") not in (None, before),
        seconds=20,
    )
    known = client.seqs()
    ack = client.ask("watch", {**job, "since": known[-1] if known else 0})
    assert ack["ok"] is True
    assert ack["snapshot"]["state"] in ("PROGRESS", "SUCCESS")
    assert snapshot(node.url, job)
    client.ask("cancel", job)
    client.close()
    node.stop()
