"""The Celery side of all examples: `celery -A tasks worker`, with BRIDGE_MESSAGE_QUEUE set."""

from __future__ import annotations

import time

from celery import Celery

from bridge import Progress, push_progress
from bridge.settings import Settings

settings = Settings.load()
app = Celery("examples", broker=settings.message_queue)
app.conf.update(
    task_default_queue="examples", accept_content=["json"], task_serializer="json",
    result_serializer="json", task_ignore_result=True, broker_connection_retry_on_startup=True,
)  # fmt: skip
app.set_default()


@app.task(name="examples.count")
@push_progress(unit="sheep")
def count(total: int, *, progress: Progress) -> None:
    """Count, slowly enough to be seen."""
    for _ in progress.track(range(total), description="Counting"):
        time.sleep(0.02)
