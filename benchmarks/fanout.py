"""One room, 200 watchers: what does a delivered message cost, and how late is it? Goal 1."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.contestants import Contestant, Floor, Node, Ours, Stock, payload
from benchmarks.load import Crowd, Publisher, Stream, run_at
from benchmarks.machine import Server, private_redis
from benchmarks.report import Subject, alternate, percentile, ratios, spread

CLIENTS = 200
BYTES = 150
#: Messages a second, and for how many seconds each.
RATES = {25: 2.0, 5: 1.2, 100: 0.7, 250: 0.7}
MAIN_RATE = 25


class Lane:
    """A contestant that serves its crowd, as long as the benchmark runs."""

    def __init__(
        self,
        contestant: Contestant,
        server: Server,
        url: str,
        rooms: list[str],
        *,
        clients: int = CLIENTS,
        length: int = BYTES,
        deflate: bool = False,
    ) -> None:
        self.server = server
        self.crowd = Crowd(contestant, server, rooms, deflate=deflate)
        self.crowd.connect(clients)
        self.publisher = Publisher(url)
        self.stream = Stream(contestant, rooms, payload(length))

    def measure(self, rate: float, seconds: float) -> dict[str, float]:
        """CPU microseconds a delivered message, and its age in milliseconds."""
        crowd = self.crowd
        crowd.ages.clear()
        crowd.aging = True
        begun, count, published = self.server.cpu(), crowd.count, self.stream.published
        run_at(crowd, self.publisher, self.stream, rate, seconds)
        crowd.aging = False
        delivered = crowd.count - count
        expected = (self.stream.published - published) * len(crowd.clients)
        ages = [age / 1e6 for age in crowd.ages]
        return {
            "us": (self.server.cpu() - begun) / max(delivered, 1) * 1e6,
            "p50": percentile(ages, 0.5),
            "p99": percentile(ages, 0.99),
            "arrived": delivered / expected,
        }


def run(rounds: int) -> Subject:
    subject = Subject("fanout", "One room, 200 clients: CPU and latency of a delivered message")
    with private_redis() as url, ExitStack() as stack:
        lanes: dict[str, Lane] = {}
        plain: list[Contestant] = [
            Stock(url, "eventlet"), Stock(url, "gevent"), Node(url), Floor(url),
            Ours(url, "eventlet"), Ours(url, "gevent"), Ours(url, "eventlet", "plain"),
        ]  # fmt: skip
        compressed: list[Contestant] = [Stock(url, "eventlet"), Node(url), Ours(url, "eventlet")]
        for contestant in plain + compressed:
            deflate = contestant in compressed
            server = contestant.start()
            stack.callback(server.stop)
            name = contestant.name + (", deflate offered" if deflate else "")
            lanes[name] = Lane(contestant, server, url, ["room"], deflate=deflate)
        for lane in lanes.values():
            lane.measure(100, 0.3)
        names = [contestant.name for contestant in plain]
        found = alternate(
            rounds, list(lanes), lambda name: lanes[name].measure(MAIN_RATE, RATES[MAIN_RATE])
        )
        rates = {MAIN_RATE: found}
        for rate, seconds in RATES.items():
            if rate != MAIN_RATE:
                rates[rate] = alternate(
                    min(rounds, 2),
                    names,
                    lambda name: lanes[name].measure(rate, seconds),  # noqa: B023
                )
    tell(subject, rates, names)
    return subject


def tell(
    subject: Subject, rates: dict[int, dict[str, dict[str, list[float]]]], names: list[str]
) -> None:
    found = rates[MAIN_RATE]
    stock, node, floor = names[0], names[2], names[3]
    subject.table(
        f"CPU microseconds a delivered message of {BYTES} bytes, {CLIENTS} clients, by messages a "
        "second",
        ["contestant", *(str(rate) for rate in sorted(rates))],
        [[name, *(spread(rates[r][name]["us"], 1) for r in sorted(rates))] for name in names],
    )
    subject.table(
        f"At {MAIN_RATE} messages a second",
        ["contestant", "CPU us", "ratio to stock", "ratio to floor", "p50 ms", "p99 ms", "arrived"],
        [
            [
                name, spread(each["us"], 1), spread(ratios(each["us"], found[stock]["us"])),
                spread(ratios(each["us"], found[floor]["us"])), spread(each["p50"]),
                spread(each["p99"]), f"{min(each['arrived']):.3f}",
            ]
            for name, each in found.items()
        ],
    )  # fmt: skip
    for mode in ("eventlet", "gevent"):
        name = f"celery-bridge, {mode}"
        ours = found[name]
        peer = f"stock Flask-SocketIO, {mode}"
        for text, limit, values in (
            ("CPU a delivery, to stock", 0.3, ratios(ours["us"], found[peer]["us"])),
            ("CPU a delivery, to Node", 0.95, ratios(ours["us"], found[node]["us"])),
            ("CPU a delivery, to the floor", 1.25, ratios(ours["us"], found[floor]["us"])),
            ("p50 latency, to the floor's", 1.2, ratios(ours["p50"], found[floor]["p50"])),
            ("p99 latency, to Node's", 1.0, ratios(ours["p99"], found[node]["p99"])),
        ):
            subject.goal(1, f"{text}, {mode}", limit, values)
    ours = found["celery-bridge, eventlet, deflate offered"]
    for peer, limit in ((stock, 0.3), (node, 0.95)):
        theirs = found[f"{peer}, deflate offered"]
        subject.goal(
            1, f"CPU a delivery to {peer}, deflate offered", limit, ratios(ours["us"], theirs["us"])
        )
