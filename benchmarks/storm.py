"""A node is killed, and all its clients come back to another one at once. Goal 6."""

from __future__ import annotations

import time

from redis import Redis

from benchmarks.contestants import Ours
from benchmarks.load import Crowd, settle
from benchmarks.machine import private_redis
from benchmarks.report import Subject, spread
from bridge.journal import RedisJournal, connect
from bridge.records import Publication, blank_record, encode

CLIENTS = 2000
JOBS = 100
CURRENT = 4711


def storm(contestant: Ours, url: str) -> dict[str, float]:
    """Returns how long it took, and how often the journal was read."""
    jobs = [f"job-{number}" for number in range(JOBS)]
    first, second = contestant.start(), contestant.start()
    redis = Redis.from_url(url)
    try:
        crowd = Crowd(contestant, first, jobs, apart=True)
        crowd.connect(CLIENTS, 100)
        tell(contestant, jobs)
        settle(crowd)
        others = Crowd(contestant, second, jobs, apart=True)
        others.connect(1)
        reads = scripts_run(redis)
        first.stop()
        begun = time.monotonic()
        cpu = second.cpu()
        crowd.close()
        others.connect(CLIENTS, CLIENTS)
        seconds = time.monotonic() - begun
        true = sum(f'"current":{CURRENT}'.encode() in ack.replace(b" ", b"") for ack in others.acks)
        return {
            "seconds": seconds, "reads": scripts_run(redis) - reads, "true": true - 1,
            "cpu": second.cpu() - cpu,
        }  # fmt: skip
    finally:
        first.stop()
        second.stop()
        redis.close()


def tell(contestant: Ours, jobs: list[str]) -> None:
    settings = contestant.settings()
    journal = RedisJournal(connect(settings.journal_url), settings)
    for number, job in enumerate(jobs, 1):
        record = {**blank_record(job, "bench"), "state": "PROGRESS", "current": CURRENT}
        journal.publish(
            [
                Publication(
                    job=job, kind="state", state="PROGRESS", start=True, run_id="run",
                    body=encode(record, what="a record", limit=100_000)[1:], nonce="bench",
                    n=number,
                )
            ]
        )  # fmt: skip


def scripts_run(redis: Redis) -> int:
    stats = redis.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))


def run(rounds: int) -> Subject:
    subject = Subject("storm", f"{CLIENTS} clients of a killed node come back to another at once")
    with private_redis() as url:
        found = {
            mode: [
                storm(Ours(url, mode), url)
                for _ in range(min(rounds, 2 if mode == "eventlet" else 1))
            ]
            for mode in ("eventlet", "gevent")
        }
    subject.table(
        f"{CLIENTS} clients that watch {JOBS} jobs",
        ["mode", "seconds", "CPU seconds", "reads of a job", "have the true state"],
        [
            [
                mode, spread([e["seconds"] for e in each]), spread([e["cpu"] for e in each]),
                spread([e["reads"] for e in each], 0), spread([e["true"] for e in each], 0),
            ]
            for mode, each in found.items()
        ],
    )  # fmt: skip
    for mode, each in found.items():
        subject.goal(6, f"seconds until all are back, {mode}", 10, [e["seconds"] for e in each])
        subject.goal(
            6, f"clients that have the true state, {mode}", CLIENTS, [e["true"] for e in each],
            at_least=True,
        )  # fmt: skip
        subject.goal(
            6, f"reads of a job a client, {mode}", 0.5, [e["reads"] / CLIENTS for e in each]
        )
    return subject
