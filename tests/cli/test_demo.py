"""`bridge demo` as a person starts it: real processes, a real Redis, real jobs."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import bridge
from bridge.cli import demo_checkout
from bridge.cli.demo import make_plan
from bridge.cli.demo_checkout import NoCheckout, checkout
from tests.conftest import RedisServer, wait_until

pytestmark = pytest.mark.e2e
COMMAND = "from bridge.cli import main; main(prog_name='bridge')"
FAKE = "import bridge.cli.embedded_redis as e; e.SOURCES = (e.from_fakeredis,); "


class Demo:
    """A demo that runs, or was refused."""

    def __init__(self, folder: Path, program: str, environ: dict[str, str]) -> None:
        self.folder = folder
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("BRIDGE_", "DEMO_"))}
        self._log = (folder.parent / "log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, "demo"],
            env={**inherited, "TMPDIR": str(folder), **environ},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._everyone: set[psutil.Process] = set()

    @property
    def log(self) -> str:
        return Path(self._log.name).read_text()

    def url(self) -> str:
        """Wait until it says that it is ready; return the page's address."""
        wait_until(lambda: self._url() or self.process.poll() is not None, seconds=50)
        assert self._url(), self.log
        return self._url()

    def _url(self) -> str:
        found = re.search(r"^celery-bridge is ready: (http://\S+/) ", self.log, re.MULTILINE)
        return found.group(1) if found else ""

    def parts(self) -> list[psutil.Process]:
        """Return all processes of the demo, and remember them."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        self._everyone |= set(found)
        return found

    def part(self, word: str) -> psutil.Process:
        """Return the first process that has a word in its command."""
        return next(p for p in self.parts() if word in p.cmdline())

    def end(self) -> tuple[int, str]:
        code = self.process.wait(30)
        return code, self.log

    def leftovers(self) -> list[Any]:
        """What is still there of it: processes that live, and what lies in the temp folder."""
        alive = [p for p in self._everyone if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        # Anything that multiprocessing or a library put there counts, too.
        return [*alive, *self.folder.iterdir()]

    def close(self) -> None:
        if self.process.poll() is None:
            self.parts()
            self.process.kill()
        self.process.wait()
        for process in self._everyone:
            if process.is_running():
                process.kill()
        self._log.close()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    made: list[Demo] = []

    def start(program: str = COMMAND, **environ: str) -> Demo:
        folder = tmp_path / "temp"
        folder.mkdir()
        made.append(Demo(folder, program, environ))
        return made[-1]

    yield start
    for each in made:
        each.close()


def call(url: str, data: dict[str, Any] | None = None, token: str = "") -> Any:
    body = None if data is None else json.dumps(data).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
        return json.load(answer)


def run_a_job(url: str) -> None:
    """Start a metronome and wait for its success."""
    made = call(f"{url}demo/jobs/metronome", {"steps": 10, "interval": 0.01})

    def over() -> bool:
        snapshot = call(f"{url}bridge/jobs/{made['job']}", token=made["token"])["snapshot"]
        return snapshot is not None and snapshot["state"] == "SUCCESS"

    wait_until(over, what="the job's success")


def names(text: str) -> set[str]:
    """The parts that speak in a log."""
    return set(re.findall(r"^\d\d:\d\d:\d\d (\w+) +\| ", text, re.MULTILINE))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_starts_all_runs_a_job_and_leaves_nothing(
    demo: Callable[..., Demo], number: signal.Signals
) -> None:
    running = demo()
    url = running.url()
    assert call(f"{url}readyz")["ready"] is True, "the URL came before the node was ready"
    run_a_job(url)
    assert len(running.parts()) >= 6, "redis, the worker and its two processes, web, the guard"
    running.process.send_signal(number)
    code, log = running.end()
    assert code == 0, log
    assert names(log) >= {"worker", "web"}
    assert running.leftovers() == []


@pytest.mark.parametrize("victim", ["worker", "web"])
def test_the_death_of_a_part_is_told_and_stops_all(demo: Callable[..., Demo], victim: str) -> None:
    running = demo()
    running.url()
    running.part(victim).kill()
    code, log = running.end()
    assert code == 1
    assert f"Error: {victim} was ended by SIGKILL; its last lines:\n    " in log
    assert running.leftovers() == []


def test_the_death_of_redis_is_told(demo: Callable[..., Demo]) -> None:
    running = demo()
    running.url()
    next(p for p in running.parts() if "redis" in p.name()).terminate()
    code, log = running.end()
    assert code == 1
    assert "Error: redis ended with exit code 0" in log
    assert running.leftovers() == []


def test_kill_minus_nine_leaves_nothing(demo: Callable[..., Demo]) -> None:
    running = demo()
    running.url()
    running.parts()
    running.process.kill()
    running.process.wait()
    wait_until(lambda: running.leftovers() == [], what="the guard to tidy up")


def test_ctrl_c_before_it_is_ready(demo: Callable[..., Demo]) -> None:
    running = demo()
    wait_until(lambda: "worker" in names(running.log) or "web" in names(running.log), seconds=30)
    running.parts()
    running.process.send_signal(signal.SIGINT)
    code, log = running.end()
    assert code == 0, log
    assert "is ready" not in log
    assert running.leftovers() == []


def test_the_port_is_the_one_that_was_asked_for(demo: Callable[..., Demo]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert demo(BRIDGE_PORT=str(port)).url() == f"http://127.0.0.1:{port}/"


def test_a_port_in_use_is_told_at_once(demo: Callable[..., Demo]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        running = demo(BRIDGE_PORT=str(port))
        code, log = running.end()
    assert code == 1
    assert log.startswith(f"Error: port {port} of 127.0.0.1 is in use: "), log
    assert "BRIDGE_PORT" in log
    assert running.leftovers() == []


def test_it_uses_a_redis_that_runs_already(
    demo: Callable[..., Demo], own_redis: RedisServer
) -> None:
    running = demo(BRIDGE_MESSAGE_QUEUE=own_redis.url)
    run_a_job(running.url())
    assert not [p for p in running.parts() if "redis" in p.name()]
    assert "redis" not in names(running.log)
    running.process.terminate()
    assert running.end()[0] == 0
    assert own_redis.client.ping()
    assert running.leftovers() == []


def test_a_redis_that_does_not_answer_is_named_without_its_password(
    demo: Callable[..., Demo],
) -> None:
    code, log = demo(BRIDGE_MESSAGE_QUEUE="redis://:hunter2@127.0.0.1:1/0").end()
    assert code == 1
    assert "BRIDGE_MESSAGE_QUEUE=redis://***@127.0.0.1:1/0 doesn't answer: start that" in log
    assert "hunter2" not in log


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("BRIDGE_PORT", "http", "BRIDGE_PORT='http'"),
        ("BRIDGE_PROT", "5000", "BRIDGE_PROT: unknown setting"),
        ("BRIDGE_HOST", "192.0.2.1", "BRIDGE_HOST='192.0.2.1' is not an address of this machine"),
        ("BRIDGE_MESSAGE_QUEUE", "http://x", "BRIDGE_MESSAGE_QUEUE='http://x'"),
    ],
)
def test_bad_settings_are_told_before_anything_starts(
    demo: Callable[..., Demo], name: str, value: str, told: str
) -> None:
    running = demo(**{name: value})
    code, log = running.end()
    assert code == 1
    assert log.startswith(f"Error: {told}"), log
    assert running.leftovers() == []


def test_without_any_redis_server_an_imitation_serves(demo: Callable[..., Demo]) -> None:
    running = demo(FAKE + COMMAND)
    url = running.url()
    assert "Warning: no redis-server was found, so fakeredis stands in for it" in running.log
    run_a_job(url)
    running.process.terminate()
    assert running.end()[0] == 0
    assert running.leftovers() == []


def test_the_password_and_the_secret_are_in_no_log(demo: Callable[..., Demo]) -> None:
    running = demo()
    running.url()
    environ = running.part("web").environ()
    password = environ["BRIDGE_MESSAGE_QUEUE"].split(":")[2].split("@")[0]
    assert len(password) > 20
    assert len(environ["BRIDGE_SECRET_KEY"]) > 20
    running.process.terminate()
    log = running.end()[1]
    assert password not in log
    assert environ["BRIDGE_SECRET_KEY"] not in log


def test_the_plan_keeps_what_the_user_has_set(tmp_path: Path) -> None:
    given = {
        "BRIDGE_SECRET_KEY": "a key of sixteen or more",
        "DEMO_UPLOADS": "/uploads",
        "BRIDGE_HOST": "0.0.0.0",
        "BRIDGE_PORT": "0",
        "PYTHONPATH": "/mine",
    }
    plan = make_plan(tmp_path, given)
    assert {**plan.environ, **given, "BRIDGE_PORT": "", "PYTHONPATH": ""} == {
        **plan.environ,
        "BRIDGE_PORT": "",
        "PYTHONPATH": "",
    }
    assert plan.environ["PYTHONPATH"] == f"{checkout()}:/mine"
    assert plan.url == f"http://127.0.0.1:{plan.environ['BRIDGE_PORT']}/"


def test_each_demo_has_a_secret_of_its_own(tmp_path: Path) -> None:
    plans = [make_plan(tmp_path, {"BRIDGE_PORT": "0"}) for _ in range(2)]
    assert plans[0].environ["BRIDGE_SECRET_KEY"] != plans[1].environ["BRIDGE_SECRET_KEY"]
    assert plans[0].environ["DEMO_UPLOADS"] == str(tmp_path / "uploads")


def test_where_there_is_no_checkout_it_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge, "__file__", str(tmp_path / "site-packages/bridge/__init__.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoCheckout, match=r"git clone .*make demo"):
        checkout()
    for needed in demo_checkout.NEEDED:
        (tmp_path / needed).parent.mkdir()
        (tmp_path / needed).touch()
    assert checkout() == tmp_path


def test_it_does_not_hang_on_its_standard_input(demo: Callable[..., Demo]) -> None:
    demo().url()
