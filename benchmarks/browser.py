"""From `update()` in a task to the page in Chromium, and what each station adds. Goal 13."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time

from playwright.sync_api import Page, sync_playwright
from redis import Redis

from benchmarks.contestants import MARK, SECRET, STAMP_DIGITS, Ours
from benchmarks.load import Crowd
from benchmarks.machine import Server, free_port, private_redis, python
from benchmarks.report import Subject, percentile
from bridge.rooms import job_room, room_channel
from bridge.tokens import Tokens

TIMES = 150
PAUSE_MS = 40
JOB = "told"
#: Notes when a moment that the task wrote is first seen in what the widget shows.
_WATCH = """async ([job, token]) => {
    await import("/bridge/task-progress.js");
    const widget = document.createElement("task-progress");
    widget.setAttribute("job", job);
    widget.setAttribute("token", token);
    document.body.append(widget);
    window.seen = [];
    const known = new Set();
    const look = () => {
        const now = performance.timeOrigin + performance.now();
        const found = /\\d{19}/.exec(widget.shadowRoot.textContent);
        if (found && !known.has(found[0])) {
            known.add(found[0]);
            window.seen.push([found[0], now]);
        }
    };
    const all = {subtree: true, childList: true, characterData: true, attributes: true};
    new MutationObserver(look).observe(widget.shadowRoot, all);
}"""


class Stations:
    """Ages, in milliseconds, of what passes each station."""

    def __init__(self) -> None:
        self.ages: dict[str, list[float]] = {}
        #: A browser tells the time of day, a task's stamp the time since the start.
        self.offset = time.time_ns() - time.monotonic_ns()

    def note(self, station: str, ages: list[float]) -> None:
        self.ages.setdefault(station, []).extend(ages)


def hear(url: str, channel: str, ages: list[float], stop: threading.Event) -> None:
    """Note when messages leave Redis, as any subscriber hears them."""
    with Redis.from_url(url).pubsub() as listener:
        listener.subscribe(channel)
        while not stop.is_set():
            message = listener.get_message(timeout=0.2)
            data = message["data"] if message and message["type"] == "message" else b""
            at = data.find(MARK) + len(MARK)
            if at >= len(MARK):
                moment = int(data[at : at + STAMP_DIGITS])
                ages.append((time.monotonic_ns() - moment) / 1e6)


def receive(crowd: Crowd, stop: threading.Event) -> None:
    while not stop.is_set():
        crowd.pump(0.05)


def measure(page: Page, url: str, stations: Stations) -> None:
    ours = Ours(url, "eventlet")
    port = free_port()
    environ = {
        "BRIDGE_MESSAGE_QUEUE": url, "BRIDGE_CHANNEL": ours.channel, "BRIDGE_SECRET_KEY": SECRET,
        "BRIDGE_PORT": str(port), "BRIDGE_RATE_WATCHED": "1000", "BRIDGE_RATE_IDLE": "1000",
    }  # fmt: skip
    server = Server(python("-m", "benchmarks.peers.page_node"), port, **environ)
    stop, left = threading.Event(), list[float]()
    crowd = Crowd(ours, server, [JOB])
    channel = room_channel(ours.channel, job_room(JOB))
    threads = [
        threading.Thread(target=hear, args=(url, channel, left, stop)),
        threading.Thread(target=receive, args=(crowd, stop)),
    ]
    try:
        crowd.connect(1)
        crowd.aging = True
        page.goto(f"http://127.0.0.1:{port}/")
        page.evaluate(_WATCH, [JOB, Tokens((SECRET,), seconds=600).issue(jobs=JOB)])
        page.wait_for_function("document.querySelector('task-progress').shadowRoot !== null")
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        subprocess.run(
            python("-m", "benchmarks.peers.telling_task", JOB, str(TIMES), str(PAUSE_MS)),
            env={**environ, "PATH": "/usr/bin"}, check=True, timeout=60,
        )  # fmt: skip
        time.sleep(0.5)
        seen = page.evaluate("window.seen")
    finally:
        stop.set()
        for thread in threads:
            thread.join(5)
        crowd.close()
        server.stop()
    stations.note("left Redis", left)
    stations.note("reached a bare WebSocket", [age / 1e6 for age in crowd.ages])
    page_ages = [at - (int(moment) + stations.offset) / 1e6 for moment, at in seen]
    stations.note("stands in the page", page_ages)


def run(rounds: int) -> Subject:
    subject = Subject("browser", "From update() in a task to the page in Chromium")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise SystemExit("this benchmark needs Chromium: apt-get install chromium")
    stations = Stations()
    with private_redis() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        for _ in range(min(rounds, 2)):
            measure(page, url, stations)
        browser.close()
    before = 0.0
    rows = []
    for station, ages in stations.ages.items():
        middle = percentile(ages, 0.5)
        rows.append(
            [station, f"{middle:.1f}", f"{middle - before:.1f}", f"{percentile(ages, 0.99):.1f}",
             str(len(ages))]
        )  # fmt: skip
        before = middle
    subject.table(
        "Milliseconds since update(), RATE_WATCHED lifted",
        ["the state has", "p50", "this station adds", "p99", "states"],
        rows,
    )
    ages = stations.ages["stands in the page"]
    for share, limit in ((0.5, 15), (0.99, 60)):
        subject.goal(
            13, f"ms from update() to the page, p{100 * share:g}", limit, [percentile(ages, share)],
        )  # fmt: skip
    subject.notes.append(
        "The widget draws once a frame of the screen (60 a second), which is most of the last "
        "station; two states within one frame are shown as one."
    )
    return subject
