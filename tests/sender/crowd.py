"""Others that use Celery's signals in the same worker: `celery worker --include` of this module."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

from celery.signals import worker_process_init

from bridge import emit, push_progress
from tests.sender.bridged_tasks import app

#: The job that every new child tells of itself.
GREETED = os.environ.get("TEST_QUEUE", "nobody") + "-greeted"
databases: list[sqlite3.Connection] = []


@worker_process_init.connect(weak=False)
def connect(**_: Any) -> None:
    databases.append(sqlite3.connect(":memory:"))


@worker_process_init.connect(weak=False)
def stumble(**_: Any) -> None:
    raise RuntimeError("a handler that is not well made")


@worker_process_init.connect(weak=False)
def greet(**_: Any) -> None:
    emit("child", {"pid": os.getpid()}, job=GREETED)


@app.task
@push_progress(result=True)
def ask_the_database() -> list[int]:
    (answer,) = databases[0].execute("select 6 * 7").fetchone()
    return [answer, os.getpid()]
