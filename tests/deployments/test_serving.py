"""One end-to-end suite for each way to serve: late, live, replay, failure, cancel, reconnect."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from bridge.cli.doctor_node import look_at
from tests.conftest import free_port, wait_until
from tests.deployments import suite
from tests.deployments.conftest import Backstage, snapshot
from tests.deployments.suite import Place
from tests.deployments.ways import OF_THEIR_OWN, QUICK, ROOT, Served, Way
from tests.nodes import Client

pytestmark = [pytest.mark.e2e, pytest.mark.redis]


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


@pytest.fixture
def place(backstage: Backstage, served: Served) -> Place:
    return Place(backstage, served.url, is_app=served.way.is_app)


def test_it_says_in_which_mode_it_serves_and_the_doctor_finds_nothing_wrong(served: Served) -> None:
    report = requests.get(f"{served.url}/readyz", timeout=30).json()
    assert report["mode"].startswith(served.way.mode)
    assert report["patched"] == {
        "when": "not" if served.way.mode == "threading" else "at start", "unpatched": [],
    }  # fmt: skip
    findings = list(look_at(served.url))
    assert [finding.what for finding in findings if not finding.good] == []
    assert any(report["mode"] in finding.what for finding in findings)


def test_the_whole_suite(place: Place) -> None:
    suite.run_whole(place)


def test_late_then_live_by_polling(place: Place) -> None:
    suite.late_then_live(place, "polling")


UWSGI = next(way for way in OF_THEIR_OWN if way.line.startswith("uwsgi"))
WRONG = [
    ("gunicorn -k gthread -w 1 -b 127.0.0.1:PORT APP", "gevent", "BRIDGE_ASYNC_MODE=threading"),
    ("gunicorn -k gevent -w 1 -b 127.0.0.1:PORT APP", "threading", "BRIDGE_ASYNC_MODE=gevent"),
    ("flask --app APP run --port PORT", "eventlet", "BRIDGE_ASYNC_MODE=threading"),
    ("flask --app APP run --port PORT", "gevent", "BRIDGE_ASYNC_MODE=threading"),
    *(
        pytest.param(f"{line} --need-app", mode, "uwsgi --gevent", marks=pytest.mark.deployments)
        for line, mode in (
            (UWSGI.line.replace("--gevent 1000 ", ""), "gevent"),
            (UWSGI.line.replace("--gevent 1000 ", ""), "threading"),
            (UWSGI.line, "eventlet"),
        )
    ),
]


@pytest.mark.parametrize(("line", "mode", "fix"), WRONG)
def test_a_server_in_another_mode_is_refused_with_the_fix(
    backstage: Backstage, line: str, mode: str, fix: str
) -> None:
    program = UWSGI.program if line.startswith("uwsgi") else None
    way = Way("wrong", line, mode, program=program, how="make deployments")
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
    job = backstage.start("metronome", node.url, steps=200, interval=suite.INTERVAL)
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
