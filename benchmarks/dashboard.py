"""A dashboard: 50 clients that watch the same 100 jobs, each told ten times a second. Goal 2."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.contestants import Contestant, Node, Ours, Stock
from benchmarks.fanout import Lane
from benchmarks.machine import private_redis
from benchmarks.report import Subject, alternate, ratios, spread

CLIENTS = 50
JOBS = 100
RATE = 10 * JOBS
SECONDS = 2.0


def run(rounds: int) -> Subject:
    subject = Subject("dashboard", f"{CLIENTS} clients that watch the same {JOBS} jobs at 10 Hz")
    rooms = [f"job-{number}" for number in range(JOBS)]
    with private_redis() as url, ExitStack() as stack:
        contestants: list[Contestant] = [
            Stock(url, "eventlet"), Stock(url, "gevent"), Node(url), Ours(url, "eventlet"),
            Ours(url, "gevent"),
        ]  # fmt: skip
        lanes = {}
        for contestant in contestants:
            server = contestant.start()
            stack.callback(server.stop)
            lane = lanes[contestant.name] = Lane(contestant, server, url, rooms, clients=CLIENTS)
            lane.measure(100, 0.3)
        found = alternate(rounds, list(lanes), lambda name: lanes[name].measure(RATE, SECONDS))
    stock, _, node, *ours = found
    subject.table(
        f"{RATE} records a second to each of {CLIENTS} clients",
        ["contestant", "CPU us a record", "ratio to stock", "ratio to Node", "p50 ms", "p99 ms"],
        [
            [
                name, spread(each["us"]), spread(ratios(each["us"], found[stock]["us"])),
                spread(ratios(each["us"], found[node]["us"])), spread(each["p50"], 1),
                spread(each["p99"], 1),
            ]
            for name, each in found.items()
        ],
    )  # fmt: skip
    for name in ours:
        mode = name.rpartition(" ")[2]
        for peer, limit in ((f"stock Flask-SocketIO, {mode}", 0.1), (node, 0.3)):
            values = ratios(found[name]["us"], found[peer]["us"])
            subject.goal(2, f"CPU a delivered record, {mode}, to {peer}", limit, values)
    return subject
