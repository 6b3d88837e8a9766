"""The Celery app. Start it with `celery -A workers.app worker`.

Broker and result backend come from ``BRIDGE_MESSAGE_QUEUE`` and ``BRIDGE_RESULT_BACKEND``.
"""

from __future__ import annotations

from celery import Celery

from bridge.settings import Settings

TASK_MODULES = (
    "workers.checksum",
    "workers.csv_import",
    "workers.words",
    "workers.flaky",
    "workers.metronome",
)
QUEUE = "workers"
SOFT_LIMIT_SECONDS = 25 * 60
HARD_LIMIT_SECONDS = 30 * 60
VISIBILITY_SECONDS = 60 * 60
RESULTS_KEPT_SECONDS = 24 * 60 * 60


def make_app(settings: Settings) -> Celery:
    """Make the Celery app for these settings.

    Args:
        settings: where the broker and the result backend are.
    """
    app = Celery("workers", include=TASK_MODULES)
    app.conf.update(
        broker_url=settings.message_queue,
        result_backend=settings.result_backend
        or (settings.journal_url if settings.in_redis else None),
        broker_connection_retry_on_startup=True,
        # Redis hands a message out again after this time, so it must outlast the longest task.
        broker_transport_options={"visibility_timeout": VISIBILITY_SECONDS},
        # A queue of our own, so that the demo can use a server that other apps use too.
        task_default_queue=QUEUE,
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        result_expires=RESULTS_KEPT_SECONDS,
        # The journal knows what runs; a second STARTED in the result backend is only traffic.
        task_track_started=False,
        # Every task here may run twice without harm, so a killed worker's job is handed out again.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_soft_time_limit=SOFT_LIMIT_SECONDS,
        task_time_limit=HARD_LIMIT_SECONDS,
        # Long tasks: what a worker can't start now should wait where another one can take it.
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        enable_utc=True,
    )
    return app


app = make_app(Settings.load())
