"""The lifecycle of a job, from Celery's signals.

The decorator's wrapper opens and decides; what it can't know comes from here: whether the result
was stored, what became of an exception (a retry, a failure), and what happened outside the run
(queued, revoked, killed). Handlers in the worker's parent process never wait.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Final

from billiard.process import current_process
from celery import current_app, current_task, signals
from celery.exceptions import Ignore, Reject, Retry, TaskRevokedError
from celery.states import IGNORED, REJECTED

from bridge.errors import InvalidId
from bridge.records import (
    FAILURE,
    FINAL,
    RETRY,
    REVOKED,
    SUCCESS,
    blank_record,
)
from bridge.rooms import check_job_id
from bridge.sender.lane import AmendedSource, FixedSource
from bridge.sender.pen import Pen
from bridge.sender.process import flush_all, mirror_of, open_emitter, outbox_of, settings_of
from bridge.sender.progress import Progress, describe_error, open_progress
from bridge.sender.pulse import Pulse, Voucher
from bridge.sender.run import HEADER, RUN, Run, header_of, new_run_id, read_header
from bridge.settings import MEMORY_IS_APART

_log = logging.getLogger("bridge.sender")

#: The attribute by which a decorated function, and so its task's ``run``, is known.
MARK: Final = "__push_progress__"
#: The attribute of a task's request that holds its open progress.
OPEN: Final = "bridge_progress"
#: Processes that vouch for this one, as long as it lives.
_vouchers: Final[list[Voucher]] = []
#: What the worker has received and not done with: Celery's requests, for telling which run failed.
_received: weakref.WeakSet[Any] = weakref.WeakSet()
_REPLACED: Final = "Replaced by new task"
#: Celery's own task that ends a job which has replaced itself by a group.
_ACCUMULATE: Final = "celery.accumulate"


def is_bridged(task: Any) -> bool:
    """Whether a Celery task runs a function under `push_progress`."""
    return task is not None and hasattr(getattr(task, "run", None), MARK)


def is_job(task: Any, request: Any) -> bool:
    """Whether a run is a job's: a bridged task's, or one by another task under a job's id.

    `submit` was given a task without the decorator, or a job has replaced itself by one.

    Args:
        request: Celery's, or its context; None: unknown.
    """
    if task is None or is_bridged(task):
        return task is not None
    context = getattr(request, "_context", request)
    return context is not None and (
        task.name == _ACCUMULATE or header_of(context).get("job") == context.id
    )


def pending_record(
    job: str, task: str | None, *, user: str | None, root: str | None, parent: str | None
) -> dict[str, Any]:
    """Return the record of a job that was just queued."""
    now = round(time.time(), 3)
    record = blank_record(job, task)
    record |= {"queued_at": now, "updated_at": now, "user": user, "root": root, "parent": parent}
    return record


def open_of(task: Any) -> Progress | None:
    """Return the open progress of the run that a task's request is about."""
    found = getattr(getattr(task, "request", None), OPEN, None)
    return found if isinstance(found, Progress) else None


@signals.before_task_publish.connect(weak=False)
def _queued(sender: str | None = None, headers: Any = None, **_: Any) -> None:
    """A task is being sent: the user travels on, and a bridged one is PENDING."""
    if not isinstance(headers, dict) or headers.get("retries"):
        return
    known = read_header(headers.get(HEADER))
    parent = open_progress()
    user = known.get("user") or (parent.run.user if parent is not None else _inherited_user())
    queued_at = known.get("queued_at") or round(time.time(), 3)
    bridged = is_bridged(current_app.tasks.get(sender)) if sender else False
    job = headers.get("id")
    told = known.get("job") == job
    replaces = parent is not None and parent.run.job == job
    if bridged or user is not None or replaces:
        headers[HEADER] = (
            {"queued_at": queued_at}
            | ({} if user is None else {"user": user})
            | ({"job": job} if told or replaces else {})
        )
    if not bridged or not isinstance(job, str) or not is_sound(job):
        return
    if told and "queued_at" in known:  # by `submit`
        return
    record = pending_record(
        job, sender, user=user, root=headers.get("root_id"), parent=headers.get("parent_id")
    )
    record["queued_at"] = queued_at
    outbox_of(settings_of()).put(job, FixedSource(record))


def _inherited_user() -> str | None:
    """The user of a task that runs here and isn't bridged itself."""
    return header_of(getattr(current_task, "request", None)).get("user")


@signals.task_received.connect(weak=False)
def _got(sender: Any = None, request: Any = None, **_: Any) -> None:
    """The worker has a message: the run to come gets its name, before a child may die of it."""
    if request is not None and is_job(request.task, request):
        request.delivery_info[RUN] = new_run_id()
        _received.add(request)


@signals.task_success.connect(weak=False)
def _succeeded(sender: Any = None, result: Any = None, **_: Any) -> None:
    progress = open_of(sender)
    if progress is not None:
        progress.finish(SUCCESS, result=result)


@signals.task_retry.connect(weak=False)
def _retried(sender: Any = None, request: Any = None, reason: Any = None, **_: Any) -> None:
    progress = open_of(sender)
    if progress is not None:
        settle_retry(progress, reason)
    elif request is not None and is_job(sender, request):
        # The worker's parent does so for a child that died, or when it lost its broker.
        amend(sender, request.id, RETRY, error=getattr(reason, "exc", None), request=request)


def settle_retry(progress: Progress, reason: Any) -> None:
    """Decide that a run is tried again.

    Args:
        reason: Celery's `Retry`, which knows when and why.
    """
    why = getattr(reason, "exc", None)
    error = why if isinstance(why, BaseException) else None
    progress.finish(RETRY, error=error, next_at=_when(getattr(reason, "when", None)))


def _when(when: Any) -> float | None:
    if isinstance(when, datetime):
        return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()
    if isinstance(when, int | float):
        return round(time.time() + when, 3)
    return None


@signals.task_failure.connect(weak=False)
def _failed(
    sender: Any = None, task_id: str | None = None, exception: Any = None, **_: Any
) -> None:
    """A task failed: in its own process, or, told by the parent, because that process died."""
    progress = open_of(sender)
    if progress is not None:
        progress.finish(FAILURE, error=exception)
    elif task_id is not None and is_job(sender, context_of(sender, task_id)):
        amend(sender, task_id, FAILURE, error=exception)


@signals.task_revoked.connect(weak=False)
def _revoked(sender: Any = None, request: Any = None, **_: Any) -> None:
    """A queued task was revoked or expired, or a running one was terminated."""
    if request is not None and is_job(sender, request):
        amend(sender, request.id, REVOKED, request=request)


@signals.task_postrun.connect(weak=False)
def _ran(sender: Any = None, state: str | None = None, retval: Any = None, **_: Any) -> None:
    """A run is over: whatever no other signal told is decided now."""
    progress = open_of(sender)
    if progress is None:
        return
    _look_after_end(progress, sender, state, retval)
    if progress.finished or (state is None and not is_bridged(sender)):
        return  # without a state: this process ends of what the task raised
    outcome = retval if state in (IGNORED, REJECTED) else progress.raised
    if isinstance(outcome, Retry):
        settle_retry(progress, outcome)
    elif isinstance(outcome, Reject):
        progress.finish(RETRY if outcome.args[1] else FAILURE, error=outcome)
    elif isinstance(outcome, Ignore):
        _settle_ignored(progress, sender, outcome)
    elif isinstance(outcome, SystemExit | KeyboardInterrupt) and _is_child():
        # This process ends of it, and the parent knows why: terminated, lost, to be redelivered.
        return
    elif outcome is not None:
        progress.finish(FAILURE, error=outcome)
    else:
        progress.finish(SUCCESS, result=progress.returned)
    progress.raised = None


def _look_after_end(progress: Progress, task: Any, state: str | None, retval: Any) -> None:
    """Make sure of what Celery stored while a state of ours was on its way there."""
    if progress.pen is None or not progress.pen.overlapped:
        return
    if progress.state == REVOKED:
        state, retval = REVOKED, TaskRevokedError("cancelled")
    if state not in FINAL and state != RETRY:
        return
    value = retval.exc if state == RETRY else retval
    mirror = outbox_of(settings_of(task.app)).mirror
    if mirror is not None:
        mirror.look_after(progress.pen, value, state)


def _is_child() -> bool:
    """Whether this is a child of a prefork worker."""
    return bool(current_process().name != "MainProcess")


def _settle_ignored(progress: Progress, task: Any, outcome: Ignore) -> None:
    """Celery stores nothing for `Ignore`; the task may have stored something itself."""
    if outcome.args and outcome.args[0] == _REPLACED:
        progress.finish(RETRY)
        return
    stored = None
    try:
        stored = task.AsyncResult(progress.job).state
    except Exception:  # noqa: BLE001 - any backend, any trouble: it must not reach the task
        stored = None
    progress.finish(stored if stored in FINAL else SUCCESS)


def amend(task: Any, job: Any, state: str, *, error: Any = None, request: Any = None) -> None:
    """Have the outbox end a job that doesn't run in this process; returns at once."""
    if not is_sound(job):
        return
    run = _run_of(task, job, request)
    blank = blank_record(job, task.name)
    blank |= {
        "attempt": run.attempt, "root": run.root, "parent": run.parent, "user": run.user,
        "queued_at": run.queued_at, "queue": run.queue,
    }  # fmt: skip
    outbox = outbox_of(settings_of(task.app))
    outbox.put(job, AmendedSource(blank, run.run_id, ending(state, error)))
    if outbox.mirror is not None and state in FINAL:
        # Celery has stored this, or is about to, while the process of the run may live and write.
        value = TaskRevokedError("terminated") if state == REVOKED else error
        outbox.mirror.look_after(Pen(job, run.run_id, request), value, state)


def ending(state: str, error: object = None) -> Callable[[dict[str, Any]], None]:
    """Return what ends a job that doesn't run here: a change of its record."""
    now = round(time.time(), 3)
    reason = describe_error(error) if isinstance(error, BaseException) else None

    def end(record: dict[str, Any]) -> None:
        record |= {
            "state": state, "error": reason, "ended_at": now, "updated_at": now, "next_at": None,
            "stage": None, "eta": None, "lost_at": None,
        }  # fmt: skip

    return end


def _run_of(task: Any, job: str, request: Any) -> Run:
    context = context_of(task, job, request)
    return Run(job=job, task=task.name) if context is None else Run.of_request(task, context)


def context_of(task: Any, job: str, request: Any = None) -> Any:
    """Find a job's request: given, or pushed for us by Celery, or by its id; None: unknown."""
    context = task.request if request is None else request
    if context.id == job:
        return context
    from celery.worker.state import reserved_requests

    # Of several deliveries of the job the one that failed is no longer reserved.
    found = [each for each in list(_received) if each.id == job]
    found.sort(key=lambda each: each in reserved_requests)
    return found[0]._context if found else None


def is_sound(job: object) -> bool:
    """Whether a task's id can be a job's."""
    try:
        check_job_id(job)
    except InvalidId:
        return False
    return True


@signals.worker_init.connect(weak=False)
def _worker_begins(sender: Any = None, **_: Any) -> None:
    """Bad settings stop the worker at its start; the parent loads what its children share."""
    try:
        settings = settings_of(getattr(sender, "app", None))
        open_emitter(settings, mirror_of(settings))
    except Exception as error:
        # Celery's signals swallow every Exception.
        raise SystemExit(f"celery-bridge: {error}") from error
    if settings.is_memory_apart:
        _log.warning(MEMORY_IS_APART)


@signals.worker_ready.connect(weak=False)
def _worker_is_ready(sender: Any = None, **_: Any) -> None:
    """Somebody must vouch for processes that execute tasks and can't speak just then."""
    settings = settings_of(getattr(sender, "app", None))
    if not settings.in_redis:
        return  # no other journal has leases that anybody else could renew
    pool: Any = getattr(sender, "pool", None)
    if type(pool).__module__ == "celery.concurrency.prefork":
        Pulse(settings, lambda: [child.pid for child in list(pool._pool._pool)]).start()
        return
    _vouchers.append(Voucher(settings))


@signals.worker_process_shutdown.connect(weak=False)
@signals.worker_shutdown.connect(weak=False)
def _process_ends(**_: Any) -> None:
    flush_all()
    for voucher in _vouchers:
        voucher.stop()
