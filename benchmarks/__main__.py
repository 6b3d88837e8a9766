"""`make bench`: runs the subjects one after the other and assembles results.md."""

from __future__ import annotations

import argparse
import datetime
import gc
import importlib
import time

from benchmarks import report
from benchmarks.machine import pin_load
from benchmarks.markdown import goal_row, lines_of, versions, write

SUBJECTS = [
    "fanout",
    "dashboard",
    "unwatched",
    "capacity",
    "joins",
    "storm",
    "slow_readers",
    "worker_cost",
    "throughput",
    "publishing",
    "startup",
    "browser",
    "nodes",
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default="", help="subjects, several with commas")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    chosen = [name for name in given.only.split(",") if name] or SUBJECTS
    unknown = sorted(set(chosen) - set(SUBJECTS))
    if unknown:
        parser.error(f"unknown subjects {unknown}: choose from {', '.join(SUBJECTS)}")
    pin_load()
    failed = []
    for name in chosen:
        begun = time.monotonic()
        print(f"== {name}", flush=True)
        gc.collect()
        try:
            subject = importlib.import_module(f"benchmarks.{name}").run(given.rounds)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the other subjects go on
            print(f"!! {name} failed: {error!r}", flush=True)
            failed.append(name)
            continue
        subject.seconds = round(time.monotonic() - begun, 1)
        subject.date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        subject.versions = versions()
        subject.command = f"make bench ONLY={name} ROUNDS={given.rounds}"
        subject.save()
        rows = [" | ".join(goal_row(subject, goal)) for goal in subject.goals]
        print("\n".join([*lines_of(subject), *rows]), f"({subject.seconds:.0f} s)", flush=True)
        write(report.load_all(SUBJECTS))
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
