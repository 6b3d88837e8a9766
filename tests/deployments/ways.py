"""The ways to serve a node: for each, the very lines that docs/deployment.md tells."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.conftest import missing, wait_until

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
#: What differs from our environment by one package lives beside it; `make deployments` makes these.
OTHERS = BIN.parent / "deployments"
APP = "web.wsgi:app"


@dataclass(frozen=True)
class Way:
    """One way to serve.

    Attributes:
        name: as in docs/deployment.md.
        line: the command, with PORT where the port goes.
        mode: the async mode that this needs.
        is_app: whether it serves an app, ours, that starts jobs; else a bare node.
        program: where the command's program is, if not in this environment; how: how to get it.
    """

    name: str
    line: str
    mode: str
    is_app: bool = True
    program: Path | None = None
    how: str = ""

    def command(self, port: int) -> list[str]:
        """Return the command, or skip where its program is missing."""
        words = [_filled(word, port) for word in self.line.split()]
        program = self.program or BIN / words[0]
        if not program.exists():
            missing(self.name, self.how or "make env")
        return [str(program), *words[1:]]


def _filled(word: str, port: int) -> str:
    return word.replace("PORT", str(port)).replace("APP", APP).replace("VENV", str(BIN.parent))


QUICK = [
    Way("bridge serve, eventlet", "bridge serve --port PORT", "eventlet", is_app=False),
    Way("bridge serve, gevent", "bridge serve --port PORT", "gevent", is_app=False),
    Way("bridge serve, threading", "bridge serve --port PORT", "threading", is_app=False),
    Way("flask run", "flask --app APP run --port PORT --reload", "threading"),
    Way(
        "gunicorn, gevent",
        "gunicorn -k gevent -w 1 --graceful-timeout 3 -b 127.0.0.1:PORT APP",
        "gevent",
    ),
    Way(
        "gunicorn, threads",
        "gunicorn -k gthread -w 1 --threads 100 --graceful-timeout 3 -b 127.0.0.1:PORT APP",
        "threading",
    ),
]
OF_THEIR_OWN = [
    Way(
        "gunicorn < 26, eventlet",
        "gunicorn -k eventlet -w 1 --graceful-timeout 3 -b 127.0.0.1:PORT APP",
        "eventlet",
        program=OTHERS / "gunicorn-25" / "bin" / "gunicorn",
        how="make deployments",
    ),
    Way(
        "uWSGI, gevent",
        "uwsgi --http-socket 127.0.0.1:PORT --gevent 1000 --master --lazy-apps --die-on-term "
        "--home VENV --module APP",
        "gevent",
        program=OTHERS / "uwsgi" / "bin" / "uwsgi",
        how="make deployments",
    ),
]


class Served:
    """A node that runs, as a process group of its own."""

    def __init__(
        self, way: Way, environ: Mapping[str, str], port: int, log: Path, *more: str
    ) -> None:
        self.way = way
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("BRIDGE_", "CELERY_"))}
        given = {"BRIDGE_ASYNC_MODE": way.mode, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [*way.command(port), *more], env={**kept, **given, **environ}, cwd=ROOT,
                stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        try:
            wait_until(self._is_ready, seconds=40, what=f"{way.name}: {log}")
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, and whatever it started."""
        if self.process.poll() is None:
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            return requests.get(f"{self.url}/readyz", timeout=30).status_code == 200
        except requests.RequestException:
            return False
