"""A demo that runs, and somebody with a browser who visits its pages."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from bridge.records import Publication
from bridge.settings import Settings
from tests.conftest import RedisServer, missing, wait_until
from tests.nodes import SECRET, Worker

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "test-artefacts"
AXE = ROOT / "bridge/widget/node_modules/axe-core/axe.min.js"
COMMAND = "from bridge.cli import main; main(prog_name='bridge')"
PATIENCE_MS = 20_000
#: A picture of thousands of rows takes long, and nobody looks at it.
TOO_HIGH = 4000
#: What a crowd's jobs do: (task, unit, total).
TASKS = (
    ("workers.metronome", "steps", 100),
    ("workers.import_csv", "B", 5_400_000),
    ("workers.count_words", "B", 1_260_000),
)
WIDGET = "Boolean(customElements.get('task-progress'))"


class Demo:
    """`bridge demo` on a Redis of its own.

    Attributes:
        url: its page's address, without the slash.
        worker: publishes what no real task would.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self.url = url
        self.worker = Worker(settings)

    def crowd(self, user: str, count: int) -> list[str]:
        """Give a user many jobs of all states; returns their ids, the oldest first."""
        dice, now = random.Random(7), time.time()
        jobs = [f"{user}-{uuid.uuid4().hex[:8]}-{number}" for number in range(count)]
        for start in range(0, count, 250):
            batch: list[Publication] = []
            for number, job in enumerate(jobs[start : start + 250], start):
                batch += self._past(job, user, now - (count - number), dice)
            self.worker.journal.publish(batch)
        return jobs

    def _past(
        self, job: str, user: str, queued: float, dice: random.Random
    ) -> Iterator[Publication]:
        state = dice.choices(["SUCCESS", "FAILURE", "REVOKED", "PENDING"], [80, 8, 4, 8])[0]
        task, unit, total = dice.choice(TASKS)
        fields: dict[str, Any] = {
            "user": user, "task": task, "queued_at": queued, "queue": "workers", "unit": unit,
        }  # fmt: skip
        if state == "PENDING":
            yield self.worker.state_publication(job, state, **fields)
            return
        fields |= {"worker": "w@host", "started_at": queued}
        fields |= {"current": total, "total": total}
        yield self.worker.state_publication(job, "STARTED", **fields)
        error = {"type": "Hiccup", "message": "as asked"} if state == "FAILURE" else None
        yield self.worker.state_publication(job, state, **fields, ended_at=queued + 1, error=error)


@contextmanager
def running_demo(redis: RedisServer, folder: Path) -> Iterator[Demo]:
    """A demo for the length of a block."""
    settings = Settings.load({"message_queue": redis.url, "secret_key": SECRET}, environ={})
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("BRIDGE_", "DEMO_"))}
    given = {
        "BRIDGE_PORT": "0", "BRIDGE_MESSAGE_QUEUE": redis.url, "BRIDGE_SECRET_KEY": SECRET,
    }  # fmt: skip
    log = folder / "demo.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "demo"],
            env={**environ, **given}, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    found: list[str] = []

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        found[:] = re.findall(r"is ready: (http://\S+)/ ", log.read_text())
        return bool(found)

    try:
        wait_until(ready, seconds=50, what="the demo's URL")
        yield Demo(found[0], settings)
    finally:
        process.terminate()
        process.wait(30)


class Visitor:
    """Somebody with a browser of their own, and what pages should never do there: complain, or
    ask anybody else."""

    def __init__(self, chromium: Browser, demo: Demo, **options: Any) -> None:
        self.demo = demo
        self._scripts = options.get("java_script_enabled", True)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.context = chromium.new_context(**{"locale": "en-US", **options})
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def sign_in(self, user: str) -> None:
        sent = {"name": user, "password": f"{user}-demo"}
        answer = self.page.request.post(f"{self.demo.url}/sign-in", form=sent, max_redirects=0)
        assert answer.status == 303

    def visit(self, path: str) -> Page:
        """Open a page and wait for the widget, if the page shows one."""
        self.page.goto(self.demo.url + path)
        if self._scripts and self.page.locator("task-progress").count():
            wait_until(lambda: self.page.evaluate(WIDGET), what="the widget")
        return self.page

    def start(self, name: str, **fields: Any) -> str:
        """Start a job as a script of the page would; returns its id."""
        answer = self.page.request.post(f"{self.demo.url}/demo/jobs/{name}", data=fields)
        assert answer.status == 201, answer.text()
        return str(answer.json()["job"])

    def picture(self, name: str) -> None:
        ARTEFACTS.mkdir(exist_ok=True)
        height = self.page.evaluate("document.documentElement.scrollHeight")
        self.page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=height < TOO_HIGH)

    def accessibility_faults(self) -> list[Any]:
        """What axe-core finds; it comes with the widget's development packages."""
        if not AXE.exists():
            missing("axe-core", "run npm ci in bridge/widget")
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run()")["violations"]
        return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]

    def leave(self) -> None:
        """Close the browser and say what the pages did wrong."""
        self.context.close()
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith(f"{self.demo.url}/")] == []


def state_of(element: Any) -> str:
    """The state that a `<task-progress>` shows."""
    return str(element.evaluate("each => each.state?.state ?? 'unknown'"))


def reach(element: Any, state: str) -> None:
    """Wait until a `<task-progress>` shows a state."""
    wait_until(lambda: state_of(element) == state, seconds=25, what=f"{state}")


def settle(page: Page) -> None:
    """Wait until the page has all that it asked for, and has drawn it."""
    page.wait_for_load_state("networkidle")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
