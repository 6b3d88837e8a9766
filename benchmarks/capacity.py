"""How many deliveries a second one core carries, however late they come. Goal 4."""

from __future__ import annotations

import time
from contextlib import ExitStack

from benchmarks.contestants import Contestant, Node, Ours, Stock, payload
from benchmarks.load import Crowd, Publisher, Stream, settle
from benchmarks.machine import Server, private_redis
from benchmarks.report import Subject, alternate, ratios, spread

CLIENTS = 200
BYTES = 150
SECONDS = 2.0
#: So many messages are on their way at a time: enough that the server never waits.
ON_THE_WAY = 50


class Busy:
    """A contestant that is given as much as it takes."""

    def __init__(self, contestant: Contestant, server: Server, url: str) -> None:
        self.server = server
        self.crowd = Crowd(contestant, server, ["room"])
        self.crowd.connect(CLIENTS)
        self.publisher = Publisher(url)
        self.stream = Stream(contestant, ["room"], payload(BYTES))

    def measure(self) -> dict[str, float]:
        crowd, stream = self.crowd, self.stream
        base = crowd.count - stream.published * CLIENTS
        begun, cpu, count = time.monotonic(), self.server.cpu(), crowd.count
        while time.monotonic() < begun + SECONDS:
            delivered = (crowd.count - base) / CLIENTS
            room = int(ON_THE_WAY - (stream.published - delivered))
            if room > 0:
                batch = [stream.next() for _ in range(room)]
                self.publisher.publish(crowd.contestant.verb, batch)
            crowd.pump(0.005)
        seconds = time.monotonic() - begun
        rate, busy = (crowd.count - count) / seconds, (self.server.cpu() - cpu) / seconds
        settle(crowd)
        return {"rate": rate, "busy": busy, "core": rate / busy}


def run(rounds: int) -> Subject:
    subject = Subject("capacity", "The most deliveries a second on one core")
    with private_redis() as url, ExitStack() as stack:
        contestants: list[Contestant] = [
            Stock(url, "eventlet"), Stock(url, "gevent"), Node(url), Ours(url, "eventlet"),
            Ours(url, "gevent"),
        ]  # fmt: skip
        nodes = {}
        for contestant in contestants:
            server = contestant.start()
            stack.callback(server.stop)
            nodes[contestant.name] = Busy(contestant, server, url)
        found = alternate(rounds, list(nodes), lambda name: nodes[name].measure())
    stock, _, node, *ours = found
    subject.table(
        f"{CLIENTS} clients in one room, as many messages as the server takes",
        ["contestant", "deliveries a second", "of its core", "ratio to stock", "ratio to Node"],
        [
            [
                name, spread(each["rate"], 0), spread(each["busy"]),
                spread(ratios(each["rate"], found[stock]["rate"])),
                spread(ratios(each["rate"], found[node]["rate"])),
            ]
            for name, each in found.items()
        ],
    )  # fmt: skip
    for name in ours:
        for peer, limit in ((node, 1.0), (stock, 1.5)):
            subject.goal(
                4, f"deliveries a second, {name.rpartition(' ')[2]}, to {peer}", limit,
                ratios(found[name]["rate"], found[peer]["rate"]), at_least=True,
            )  # fmt: skip
    return subject
