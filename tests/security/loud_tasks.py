"""A Celery app whose task knows secrets and fails."""

from __future__ import annotations

from celery import Celery

from bridge import Progress, push_progress
from bridge.settings import Settings

_settings = Settings.load()
app = Celery("loud", broker=_settings.message_queue, backend=_settings.message_queue)
app.conf.update(task_default_queue="loud", broker_connection_retry_on_startup=True)


@app.task(name="loud.fail")
@push_progress
def fail(word: str, *, progress: Progress) -> None:
    """Fail in a line whose text would stand in a traceback."""
    progress.update(current=1, total=2, message="working")
    progress.emit("row", {"line": 7})
    raise LookupError("the row is missing")  # said-in-the-traceback-only


@app.task(name="loud.succeed")
@push_progress
def succeed(word: str, *, progress: Progress) -> str:
    """Return something that nobody asked to be shown."""
    progress.update(current=1, total=1)
    return f"returned-{word}"
