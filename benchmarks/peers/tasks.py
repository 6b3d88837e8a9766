"""A task for the memory benchmark: with the bridge if BENCH_BRIDGED is 1."""

import os
import time

from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_REDIS"], backend=os.environ["BENCH_REDIS"])
app.conf.broker_connection_retry_on_startup = True


def work() -> None:
    """Take a second."""
    time.sleep(1)


if os.environ["BENCH_BRIDGED"] == "1":
    from bridge import current_progress, push_progress

    @app.task(name="work")
    @push_progress
    def bridged() -> None:
        progress = current_progress()
        for _ in progress.track(range(20)):
            time.sleep(0.05)

else:
    app.task(name="work")(work)
