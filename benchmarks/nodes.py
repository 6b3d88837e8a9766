"""Two nodes, and from what they cost, what a hundred would ask of Redis. Goal 8."""

from __future__ import annotations

import random
import select
import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
from redis import Redis

from benchmarks.contestants import Ours, payload
from benchmarks.load import Crowd, Publisher, Stream, run_at, settle
from benchmarks.machine import private_redis
from benchmarks.report import Subject, ratios, spread
from bridge.journal import RedisJournal, connect
from bridge.records import Publication, blank_record, encode
from bridge.rooms import job_room, room_channel

CLIENTS = 50
RATE = 25
BYTES = 600
SECONDS = 2.0
CALLS = 2000
#: Redis finds so many states waiting at a time, as it does where it is busy.
BATCH = 5
NODES, WATCHERS, JOBS = 100, 1_000_000, 100_000
#: So many jobs of one watcher each, and so many messages a second to them all.
SCATTERED, SCATTERED_RATE = 200, 2000
#: States a second of a watched job, in the scenarios.
PACES = (10.0, 1.0, 0.2)
#: So much of a core may be used, so that bursts find room.
FULL = 0.7


class Pair:
    """A node with watchers of its own job."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.contestant = Ours(url, "eventlet")
        self.server = self.contestant.start()
        stack.callback(self.server.stop)
        self.job = f"job-{uuid.uuid4().hex}"
        self.crowd = Crowd(self.contestant, self.server, [self.job])
        self.stream = Stream(self.contestant, [self.job], payload(BYTES))
        self.publisher = Publisher(url)

    def join(self, clients: int) -> None:
        self.crowd.connect(clients)
        settle(self.crowd)


def cpu_of(first: Pair, second: Pair) -> tuple[float, float]:
    """Both are told of their own job; CPU milliseconds a second of each."""
    begun = first.server.cpu(), second.server.cpu(), time.monotonic()

    def also() -> None:
        second.publisher.publish(b"PUBLISH", [second.stream.next()])
        second.crowd.pump(0)

    def each(sent: list[float] = [0.0]) -> None:  # noqa: B006 - remembers
        if time.monotonic() >= sent[0] + 1 / RATE:
            sent[0] = time.monotonic()
            also()

    run_at(first.crowd, first.publisher, first.stream, RATE, SECONDS, each)
    settle(second.crowd)
    seconds = time.monotonic() - begun[2]
    return (
        (first.server.cpu() - begun[0]) / seconds * 1000,
        (second.server.cpu() - begun[1]) / seconds * 1000,
    )


@contextmanager
def listening(url: str, channel: str, number: int) -> Iterator[None]:
    """So many subscribers that read what comes."""
    clients = [Redis.from_url(url) for _ in range(number)]
    listeners = [client.pubsub() for client in clients]
    for listener in listeners:
        listener.subscribe(channel)
        listener.get_message(timeout=5)
    sockets = [listener.connection._sock for listener in listeners]
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            ready, _, _ = select.select(sockets, [], [], 0.1) if sockets else ([], [], [])
            for each in ready:
                each.recv(1 << 20)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for listener, client in zip(listeners, clients, strict=True):
            listener.close()
            client.close()


def redis_microseconds(url: str, receivers: int) -> float:
    """CPU of Redis for one state of a job: its script, and a copy to each receiver."""
    ours = Ours(url, "eventlet")
    settings = ours.settings()
    client = connect(url)
    journal = RedisJournal(client, settings)
    redis = psutil.Process(int(client.info("server")["process_id"]))
    record = {**blank_record("job", "bench"), "state": "PROGRESS", "message": "x" * 100}
    body = encode(record, what="a record", limit=100_000)[1:]
    with listening(url, room_channel(settings.channel, job_room("job")), receivers):
        begun = time.clock_gettime((~redis.pid << 3) | 2)
        for start in range(0, CALLS, BATCH):
            journal.publish(
                [
                    Publication(
                        job="job", kind="state", state="PROGRESS", body=body, run_id="run",
                        start=True, nonce="bench", n=start + n + 1,
                    )
                    for n in range(BATCH)
                ]
            )  # fmt: skip
        used = time.clock_gettime((~redis.pid << 3) | 2) - begun
    client.close()
    return used / CALLS * 1e6


def scattered(contestant: Ours, url: str) -> float:
    """CPU microseconds of a node for a message that one client watches, where many come."""
    server = contestant.start()
    try:
        jobs = [f"job-{number}" for number in range(SCATTERED)]
        crowd = Crowd(contestant, server, jobs, apart=True)
        crowd.connect(SCATTERED)
        settle(crowd)
        publisher, stream = Publisher(url), Stream(contestant, jobs, payload(BYTES))
        begun = server.cpu()
        run_at(crowd, publisher, stream, SCATTERED_RATE, SECONDS)
        return (server.cpu() - begun) / stream.published * 1e6
    finally:
        server.stop()


def nodes_of_a_job(dice: random.Random, samples: int = 2000) -> float:
    """On how many nodes a watched job's watchers are, if they choose jobs and nodes blindly."""
    found = 0
    for _ in range(samples):
        watchers = WATCHERS // JOBS
        found += len({dice.randrange(NODES) for _ in range(watchers)})
    return found / samples


def simulate(
    subject: Subject, script_us: float, copy_us: float, delivery_us: float, message_us: float
) -> None:
    """What so many ask of Redis and of each node, from what one state and one delivery cost."""
    copies = nodes_of_a_job(random.Random(1))
    rows = []
    for pace in PACES:
        states = JOBS * pace
        redis = states * (script_us + copies * copy_us) / 1e6
        heard = states * copies / NODES
        node = (heard * message_us + states * (WATCHERS / JOBS) / NODES * delivery_us) / 1e6
        rows.append(
            [
                f"{pace:g}", f"{states:,.0f}", f"{states * copies:,.0f}", f"{redis:.1f}",
                f"{redis / FULL:.0f}" if redis > FULL else "1", f"{heard:,.0f}", f"{node:.2f}",
            ]
        )  # fmt: skip
    subject.table(
        f"Simulated: {NODES} nodes, {WATCHERS:,} watchers, {JOBS:,} running jobs, all watched "
        f"(by {WATCHERS // JOBS} each, on {copies:.1f} nodes)",
        ["states/s of a job", "states/s", "copies/s out of Redis", "cores of Redis",
         f"servers at {FULL:.0%} of a core", "messages/s a node hears", "cores of each node"],
        rows,
    )  # fmt: skip
    one = FULL / (script_us + copies * copy_us) * 1e6
    subject.notes.append(
        f"Redis breaks first: it runs scripts on one core, and at {script_us:.0f} us a state and "
        f"{copy_us:.1f} us a copy one server carries about {one:,.0f} watched states a second, "
        f"that is {one / 10:,.0f} watched jobs at 10 a second. Beyond that: a lower RATE_WATCHED, "
        "or several servers; names and keys carry the job in a hash tag, so that a cluster can "
        "share them out. A node hears only what its own watchers watch."
    )


def run(rounds: int) -> Subject:
    subject = Subject("nodes", "Two nodes, and a hundred by simulation")
    few: list[tuple[float, float]] = []
    many: list[tuple[float, float]] = []
    with private_redis() as url, ExitStack() as stack:
        first, second = Pair(url, stack), Pair(url, stack)
        first.join(CLIENTS)
        second.join(CLIENTS)
        few = [cpu_of(first, second) for _ in range(rounds)]
        second.join(CLIENTS)
        many = [cpu_of(first, second) for _ in range(rounds)]
        alone = [redis_microseconds(url, 0) for _ in range(min(rounds, 3))]
        hot = [scattered(first.contestant, url) for _ in range(min(rounds, 3))]
        ten = [redis_microseconds(url, 10) for _ in range(min(rounds, 3))]
    subject.table(
        f"CPU milliseconds a second; each node's own job tells {RATE} states a second",
        ["watchers of the one, of the other", "the one", "the other"],
        [
            [
                f"{CLIENTS}, {clients}", spread([a for a, _ in each], 1),
                spread([b for _, b in each], 1),
            ]
            for clients, each in ((CLIENTS, few), (2 * CLIENTS, many))
        ],
    )  # fmt: skip
    subject.goal(
        8, "CPU of a node when the other's watchers double, to before", 1.1,
        ratios([a for a, _ in many], [a for a, _ in few]),
    )  # fmt: skip
    script, copy = min(alone), max(0.1, (min(ten) - min(alone)) / 10)
    pairs = zip(few, many, strict=True)
    grown = [(after - before) / (CLIENTS * RATE) * 1000 for (_, before), (_, after) in pairs]
    delivery = max(0.1, statistics.median(grown))
    message = max(0.0, statistics.median(hot) - delivery)
    subject.table(
        "Measured for the simulation, microseconds of CPU",
        ["Redis: a state journalled and published", "Redis: a copy to a node",
         "node: a message heard", "node: a delivery"],
        [[f"{script:.1f}", f"{copy:.1f}", f"{message:.0f}", f"{delivery:.1f}"]],
    )  # fmt: skip
    simulate(subject, script, copy, delivery, message)
    return subject
