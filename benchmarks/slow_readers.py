"""Clients that read nothing while their room is told much: memory, and the others. Goal 7."""

from __future__ import annotations

import time

from benchmarks.contestants import Contestant, Node, Ours, Stock, payload
from benchmarks.load import Crowd, Publisher, Stream, run_at, settle
from benchmarks.machine import kernel_socket_bytes, private_redis
from benchmarks.report import Subject, percentile

SLOW = 100
FAST = 20
RATE = 1000
BYTES = 2000
SECONDS = 60.0
#: The peers grow by megabytes a second: they are given fewer such clients and less time.
PEERS_SLOW = 10
PEERS_SECONDS = 5.0
CALM_SECONDS = 10.0
PING_TIMEOUT = 600
_MB = 1_000_000


def measure(contestant: Contestant, url: str, slow: int, seconds: float) -> dict[str, float]:
    server = contestant.start(PING_TIMEOUT)
    try:
        fast = Crowd(contestant, server, ["room"])
        fast.connect(FAST)
        publisher = Publisher(url)
        stream = Stream(contestant, ["room"], payload(BYTES))
        calm = watch(fast, publisher, stream, min(CALM_SECONDS, seconds))
        asleep = Crowd(contestant, server, ["room"])
        asleep.connect(slow)
        settle(asleep)
        sleepers = list(asleep.clients.values())
        asleep.pause(sleepers)
        resident, kernel = server.resident(), kernel_socket_bytes()
        pinged = time.monotonic()

        def each() -> None:
            nonlocal pinged
            if time.monotonic() > pinged + 20:
                pinged = time.monotonic()
                asleep.answer_pings(sleepers)

        loaded = watch(fast, publisher, stream, seconds, each)
        grown = (server.resident() - resident) / _MB
        held = (kernel_socket_bytes() - kernel) / _MB
        asleep.close()
        fast.close()
        return {
            "resident": grown, "kernel": held, "all": grown + held,
            "a second and socket": grown / seconds / slow, "calm p99": calm, "loaded p99": loaded,
            "ratio": loaded / calm, "lost": asleep.lost,
        }  # fmt: skip
    finally:
        server.stop()


def watch(
    crowd: Crowd, publisher: Publisher, stream: Stream, seconds: float, each: object = None
) -> float:
    """The p99 age in milliseconds of what the others receive."""
    crowd.ages.clear()
    crowd.aging = True
    run_at(crowd, publisher, stream, RATE, seconds, each)  # type: ignore[arg-type]
    crowd.aging = False
    return percentile(crowd.ages, 0.99) / 1e6


def run(rounds: int) -> Subject:
    subject = Subject("slow_readers", "Clients that read nothing")
    with private_redis() as url:
        found = {}
        for contestant, slow, seconds in (
            (Stock(url, "eventlet"), PEERS_SLOW, PEERS_SECONDS),
            (Node(url), PEERS_SLOW, PEERS_SECONDS),
            (Ours(url, "eventlet"), SLOW, SECONDS),
            (Ours(url, "gevent"), SLOW, SECONDS / 3),
        ):
            told = f"{contestant.name}: {slow} for {seconds:.0f} s"
            found[told] = measure(contestant, url, slow, seconds)
    subject.table(
        f"{RATE} messages of {BYTES} bytes a second; {FAST} other clients read",
        ["contestant: how many read nothing", "MB of memory more", "MB of the kernel's more",
         "MB a second and socket", "p99 ms of the others before", "meanwhile"],
        [
            [name, f"{e['resident']:.1f}", f"{e['kernel']:.1f}", f"{e['a second and socket']:.3f}",
             f"{e['calm p99']:.1f}", f"{e['loaded p99']:.1f}"]
            for name, e in found.items()
        ],
    )  # fmt: skip
    for name, each in found.items():
        if name.startswith("celery-bridge"):
            subject.goal(7, f"MB more in all, {name}", 50, [each["all"]])
            subject.goal(
                7, f"p99 of the others, to that without, {name}", 1.5, [each["ratio"]],
                note="one run: a busy machine shows in it more than the slow ones do",
            )  # fmt: skip
    subject.notes.append(
        "One round: it is the memory after the given time that counts. No client was dropped."
        if not any(each["lost"] for each in found.values())
        else "Some clients were dropped: " + str({n: e["lost"] for n, e in found.items()})
    )
    return subject
