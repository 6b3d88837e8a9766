"""What telling a state costs a worker, to what a user would call instead. Goals 10 and 11."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from celery_progress.backend import ProgressRecorder
from flask_socketio import SocketIO
from redis import Redis

from benchmarks.machine import SERVER_CORE, private_redis
from benchmarks.report import Subject, alternate, ratios, spread
from benchmarks.worker_cost import opener
from bridge.rooms import job_room, room_channel
from bridge.sender.lane import LiveSource
from bridge.sender.outbox import Outbox
from bridge.sender.process import open_emitter
from bridge.sender.progress import Progress
from bridge.sender.run import Run
from bridge.settings import Settings

CALLS = 400
UPDATES = 200_000
STOCK = "stock SocketIO.emit"
OURS = "celery-bridge: journal and publish"


def stock_emit(url: str, record: dict[str, Any]) -> Callable[[int], None]:
    emitter = SocketIO(message_queue=url, channel="bench", async_mode="threading")
    return lambda n: emitter.emit("progress", {**record, "current": n}, to="room")


def nothing() -> None:
    """A task, as Celery wants it."""


def update_state(url: str) -> tuple[Callable[[int], None], Callable[[int], None]]:
    """Celery's own, and celery-progress on top of it."""
    app = Celery("bench", backend=url, broker="memory://")
    task = app.task(name="bench")(nothing)
    task.push_request(id="bench")
    recorder = ProgressRecorder(task)
    return (
        lambda n: task.update_state(state="PROGRESS", meta={"current": n, "total": CALLS}),
        lambda n: recorder.set_progress(n, CALLS),
    )


def our_publish(settings: Settings) -> tuple[Callable[[int], None], dict[str, Any]]:
    """One pass of the sender thread's work, called by hand; and the record that it sends."""
    outbox = Outbox(settings, open_emitter(settings))
    progress = Progress(Run(job="bench-publish", task="bench"))
    lane = outbox.lanes.put("bench", progress.job, LiveSource(progress))

    def publish(n: int) -> None:
        progress.update(n + 1)
        lane.look_at = 0.0
        outbox.courier._pass()

    return publish, progress.record(time.monotonic())


def timed(call: Callable[[int], object]) -> dict[str, float]:
    """Microseconds a call: of time, and of this process's CPU."""
    call(0)
    begun, cpu = time.perf_counter(), time.process_time()
    for n in range(1, CALLS):
        call(n)
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - begun
    return {"wall": seconds / CALLS * 1e6, "cpu": cpu / CALLS * 1e6}


def update_cost(update: Callable[[Any], None], step: float) -> float:
    """Microseconds of one call with whole or broken figures, its loop included."""
    begun = time.perf_counter()
    for n in range(UPDATES):
        update(n * step)
    return (time.perf_counter() - begun) / UPDATES * 1e6


def time_to_pace(settings: Settings, open_progress: Callable[[], Progress]) -> float:
    """Seconds from the moment when somebody begins to watch until states come at its pace."""
    progress = open_progress()
    stop = threading.Event()

    def work() -> None:
        n = 0
        while not stop.wait(0.002):
            progress.update(n := n + 1)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(1.3)  # it has noticed that nobody watches
    redis = Redis.from_url(settings.message_queue)
    try:
        with redis.pubsub() as listener:
            listener.subscribe(room_channel(settings.channel, job_room(progress.job)))
            listener.get_message(timeout=5)
            begun = time.monotonic()
            while listener.get_message(timeout=5)["type"] != "message":  # type: ignore[index]
                pass
            return time.monotonic() - begun
    finally:
        stop.set()
        thread.join()
        progress.finish("SUCCESS")
        redis.close()


@contextmanager
def on_the_servers_core() -> Iterator[None]:
    """Run here, apart from Redis, what is measured in this process."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run(rounds: int) -> Subject:
    subject = Subject("publishing", "Telling a state: what one call costs the worker")
    with private_redis() as url, on_the_servers_core():
        settings = Settings.load({"message_queue": url, "channel": "bench"}, environ={})
        publish, record = our_publish(settings)
        state, recorder = update_state(url)
        redis = Redis.from_url(url)
        text = str(record)
        calls: dict[str, Callable[[int], object]] = {
            STOCK: stock_emit(url, record),
            "bare PUBLISH": lambda n: redis.publish("bench", text),
            "Celery's update_state": state,
            "celery-progress set_progress": recorder,
            OURS: publish,
        }
        found = alternate(rounds, list(calls), lambda name: timed(calls[name]))
        open_progress = opener(settings)
        progress = open_progress()
        updates = [update_cost(progress.update, 1) for _ in range(rounds)]
        floats = [update_cost(progress.update, 0.5) for _ in range(rounds)]
        advances = [update_cost(lambda _: progress.advance(), 1) for _ in range(rounds)]
        progress.finish("SUCCESS")
        paces = [time_to_pace(settings, open_progress) for _ in range(rounds)]
    stock, ours, states = found[STOCK], found[OURS], found["Celery's update_state"]
    subject.table(
        f"Microseconds a call, {CALLS} calls a round; all but PUBLISH make JSON of it",
        ["call", "time", "CPU", "CPU to stock's emit"],
        [
            [
                name,
                spread(e["wall"], 0),
                spread(e["cpu"], 0),
                spread(ratios(e["cpu"], stock["cpu"])),
            ]
            for name, e in found.items()
        ],
    )  # fmt: skip
    subject.goal(10, "update(), microseconds, its loop included", 1.0, updates)
    subject.goal(10, "update() with a float, the same", 1.0, floats)
    subject.goal(10, "advance(), the same", 1.0, advances)
    subject.goal(
        10, "stock emit's time, to update()'s", 150, ratios(stock["wall"], updates), at_least=True
    )
    subject.goal(
        10, "update_state's time, to update()'s", 500, ratios(states["wall"], updates),
        at_least=True,
    )  # fmt: skip
    subject.goal(
        11, "CPU of one publish, to stock emit's", 1.2, ratios(ours["cpu"], stock["cpu"])
    )  # fmt: skip
    subject.goal(11, "seconds until a job that is watched tells at RATE_WATCHED", 1.0, paces)
    return subject
