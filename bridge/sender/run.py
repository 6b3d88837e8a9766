"""A run: one execution of a task by a worker."""

from __future__ import annotations

import contextlib
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.errors import InvalidId
from bridge.rooms import check_job_id, check_user_id

#: Where a worker's parent process notes, in the `delivery_info` of what it hands to a child, the
#: nonce of the run to come, so that both know it by the same name.
RUN: Final = "bridge_run"
#: The task header in which travel: ``user`` (children inherit it), ``queued_at``, ``job``, the id
#: that `submit` gave, or that of a job which replaced itself by the task: such a task is a job
#: without the decorator, too; and ``root``, which Celery forgets in eager mode.
HEADER: Final = "bridge"


@dataclass(slots=True)
class Run:
    """Who executes what.

    Attributes:
        job: Celery's task id.
        task: the task's name.
        attempt: Celery's ``retries``.
        root parent: Celery's ids.
        user: whose job it is.
        worker queue: where it runs.
        redeliverable: whether the broker may deliver the job again if its worker dies.
        redelivered: whether it has done so.
        queued_at started_at: Unix seconds.
        run_id: a nonce by which the journal tells this execution from others of the same job.
    """

    job: str
    task: str | None = None
    attempt: int = 0
    root: str | None = None
    parent: str | None = None
    user: str | None = None
    worker: str | None = None
    queue: str | None = None
    redeliverable: bool = False
    redelivered: bool = False
    queued_at: float | None = None
    started_at: float = field(default_factory=lambda: round(time.time(), 3))
    run_id: str = field(default_factory=lambda: new_run_id())

    def record(self) -> dict[str, Any]:
        """Return the part of the state record that stays the same as long as the run goes on."""
        return {
            "job": self.job, "task": self.task, "attempt": self.attempt,
            "queued_at": self.queued_at, "started_at": self.started_at, "lost_at": None,
            "worker": self.worker, "queue": self.queue, "root": self.root, "parent": self.parent,
            "user": self.user, "redeliverable": self.redeliverable,
        }  # fmt: skip

    def inherit(self, parent: Run) -> None:
        """Take over what an eager task's headers don't tell of the run that started it."""
        self.root = parent.root
        self.user = self.user or parent.user

    @classmethod
    def of_request(cls, task: Any, request: Any) -> Run:
        """Read a Celery task's request (its `Context`)."""
        header = header_of(request)
        delivery = request.delivery_info or {}
        return cls(
            job=request.id,
            task=task.name,
            attempt=request.retries or 0,
            root=(header.get("root") if request.is_eager else None) or request.root_id,
            parent=request.parent_id,
            user=header.get("user"),
            worker=request.hostname,
            queue=delivery.get("routing_key") or None,
            redeliverable=bool(task.acks_late) and not request.is_eager,
            redelivered=bool(delivery.get("redelivered")),
            queued_at=header.get("queued_at"),
            run_id=delivery.get(RUN) or new_run_id(),
        )


def new_run_id() -> str:
    """Make a nonce for an execution."""
    return uuid.uuid4().hex[:16]


def header_of(request: Any) -> dict[str, Any]:
    """Return the bridge's header of a task's request; eager ones keep headers apart."""
    apart = getattr(request, "headers", None)
    eager = apart.get(HEADER) if isinstance(apart, dict) else None
    return read_header(getattr(request, HEADER, None) or eager)


def read_header(value: Any) -> dict[str, Any]:
    """Return what is sound in the bridge's task header; the broker is not trusted."""
    if not isinstance(value, dict):
        return {}
    header: dict[str, Any] = {}
    with contextlib.suppress(KeyError, InvalidId):
        header["user"] = check_user_id(value["user"])
    queued_at = value.get("queued_at")
    if isinstance(queued_at, int | float) and 0 < queued_at < 1e11:
        header["queued_at"] = queued_at
    for name in ("job", "root"):
        with contextlib.suppress(KeyError, InvalidId):
            header[name] = check_job_id(value[name])
    return header
