"""Messages that nobody on the node watches: what do they cost it? Goal 3."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial

from benchmarks.contestants import Contestant, Node, Ours, Stock, payload
from benchmarks.load import Crowd, Publisher, Stream
from benchmarks.machine import Server, private_redis
from benchmarks.report import Subject, alternate, ratios, spread

MESSAGES = 5000
RATE = 5000
BYTES = 150
JOBS = (10, 100, 1000, 10_000)


class Quiet:
    """A node with one watcher of a job that is not told of."""

    def __init__(self, contestant: Contestant, server: Server, url: str) -> None:
        self.contestant = contestant
        self.server = server
        self.crowd = Crowd(contestant, server, ["watched"])
        self.crowd.connect(1)
        self.publisher = Publisher(url)

    def measure(self, jobs: int = MESSAGES) -> dict[str, float]:
        """CPU milliseconds for 1,000 messages to that many rooms; its idle time is taken off."""
        rooms = [f"unwatched-{number}" for number in range(jobs)]
        stream = Stream(self.contestant, rooms, payload(BYTES))
        used = self._cpu_of(lambda: self._publish(stream))
        idle = self._cpu_of(lambda: time.sleep(MESSAGES / RATE))
        return {"ms": max(0.0, used - idle) * 1e6 / MESSAGES, "raw": used * 1e6 / MESSAGES}

    def _publish(self, stream: Stream) -> None:
        begun = time.monotonic()
        while stream.published < MESSAGES:
            batch = [stream.next() for _ in range(20)]
            self.publisher.publish(self.contestant.verb, batch)
            time.sleep(max(0.0, begun + stream.published / RATE - time.monotonic()))

    def _cpu_of(self, work: object) -> float:
        assert callable(work)
        begun = self.server.cpu()
        work()
        time.sleep(0.05)
        return self.server.cpu() - begun


def of_jobs(node: Quiet, jobs: str) -> dict[str, float]:
    return node.measure(int(jobs))


def run(rounds: int) -> Subject:
    subject = Subject("unwatched", "Messages that nobody on the node watches")
    with private_redis() as url, ExitStack() as stack:
        contestants: list[Contestant] = [
            Stock(url, "eventlet"), Node(url), Node(url, "sharded"), Ours(url, "eventlet"),
            Ours(url, "gevent"),
        ]  # fmt: skip
        nodes = {}
        for contestant in contestants:
            server = contestant.start()
            stack.callback(server.stop)
            nodes[contestant.name] = Quiet(contestant, server, url)
        found = alternate(rounds, list(nodes), lambda name: nodes[name].measure())
        names = ("celery-bridge, eventlet", "celery-bridge, gevent")
        jobs = [str(n) for n in JOBS]
        flat = {
            name: alternate(min(rounds, 1), jobs, partial(of_jobs, nodes[name])) for name in names
        }
    stock = next(iter(found))
    subject.table(
        "CPU milliseconds for 1,000 unwatched messages, idle time taken off",
        ["contestant", "ms", "ratio to stock"],
        [
            [name, spread(each["ms"]), spread(ratios(each["ms"], found[stock]["ms"]), 3)]
            for name, each in found.items()
        ],
    )
    subject.table(
        f"The same by how many unwatched jobs run ({RATE} messages a second in all), idle included",
        ["contestant", *(str(n) for n in JOBS)],
        [[name, *(spread(flat[name][str(n)]["raw"]) for n in JOBS)] for name in names],
    )
    for name in names:
        subject.goal(
            3, f"1,000 unwatched messages, to stock, {name.rpartition(' ')[2]}", 0.01,
            ratios(found[name]["ms"], found[stock]["ms"]),
        )  # fmt: skip
        few, many = flat[name][str(JOBS[0])]["raw"], flat[name][str(JOBS[-1])]["raw"]
        # Flat within what the noise of an idle process is, in ms of CPU a second.
        growth = [(b - a) * RATE / 1000 for a, b in zip(few, many, strict=True)]
        subject.goal(
            3, f"ms of CPU a second more, 10,000 jobs to 10, {name.rpartition(' ')[2]}", 1.0, growth
        )
    return subject
