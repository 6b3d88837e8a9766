"""Clients that read nothing while their room is told much: memory, and the others. Goal 7."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.contestants import Contestant, Node, Ours, Stock, payload
from benchmarks.load import Crowd, Publisher, Stream, run_at, settle
from benchmarks.machine import kernel_socket_bytes, private_redis
from benchmarks.report import Subject, percentile, spread

SLOW = 100
#: Few, for the load generator reads for them all.
FAST = 5
RATE = 1000
BYTES = 2000
SECONDS = 60.0
#: The peers grow by megabytes a second: they are given fewer such clients and less time.
PEERS_SLOW = 10
PEERS_SECONDS = 5.0
CALM_SECONDS = 5.0
#: Each has a p99 of its own, so that one hiccup of the machine is not all that is seen.
WINDOW_SECONDS = 5.0
PING_TIMEOUT = 600
_MB = 1_000_000


def measure(contestant: Contestant, url: str, slow: int, seconds: float) -> dict[str, Any]:
    server = contestant.start(PING_TIMEOUT)
    try:
        fast = Crowd(contestant, server, ["room"])
        fast.connect(FAST)
        publisher = Publisher(url)
        stream = Stream(contestant, ["room"], payload(BYTES))
        watch(fast, publisher, stream, 1.0)  # what a first message loads is not what is measured
        begun = server.cpu()
        calm = watch(fast, publisher, stream, CALM_SECONDS)
        calm_cpu = (server.cpu() - begun) / CALM_SECONDS
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

        begun = server.cpu()
        loaded = [
            watch(fast, publisher, stream, WINDOW_SECONDS, each)
            for _ in range(round(seconds / WINDOW_SECONDS))
        ]
        loaded_cpu = (server.cpu() - begun) / seconds
        grown = (server.resident() - resident) / _MB
        held = (kernel_socket_bytes() - kernel) / _MB
        asleep.close()
        fast.close()
        return {
            "resident": grown, "kernel": held, "all": grown + held,
            "a second and socket": grown / seconds / slow, "calm p99": calm, "loaded p99": loaded,
            "calm cpu": calm_cpu, "loaded cpu": loaded_cpu, "lost": asleep.lost,
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
         "MB a second and socket", "p99 ms of the others before", "meanwhile", "CPU before",
         "meanwhile"],
        [
            [name, f"{e['resident']:.1f}", f"{e['kernel']:.1f}", f"{e['a second and socket']:.3f}",
             f"{e['calm p99']:.1f}", spread(e["loaded p99"], 1), f"{e['calm cpu']:.3f}",
             f"{e['loaded cpu']:.3f}"]
            for name, e in found.items()
        ],
    )  # fmt: skip
    for name, each in found.items():
        if name.startswith("celery-bridge"):
            subject.goal(7, f"MB more in all, {name}", 50, [each["all"]])
            subject.goal(
                7, f"p99 of the others, to that without, {name}", 1.5,
                [p99 / each["calm p99"] for p99 in each["loaded p99"]],
            )  # fmt: skip
    dropped = {name: each["lost"] for name, each in found.items() if each["lost"]}
    subject.notes.append(
        f"One run, the p99 by windows of {WINDOW_SECONDS:.0f} s: it is the memory after the given "
        "time that counts. "
        + (f"Clients were dropped: {dropped}." if dropped else "No client was dropped.")
    )
    return subject
