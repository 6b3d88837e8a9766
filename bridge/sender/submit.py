"""`submit`: start a task from a web app so that its user can watch it from the first moment."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from celery import current_app
from celery.canvas import Signature, _chain, chord, group

from bridge.records import FAILURE
from bridge.rooms import check_job_id, check_user_id
from bridge.sender.lane import AmendedSource, FixedSource
from bridge.sender.lifecycle import pending_record
from bridge.sender.process import outbox_of, settings_for, settings_of
from bridge.sender.progress import describe_error
from bridge.sender.run import HEADER
from bridge.settings import Settings
from bridge.tokens import Tokens

#: How long `submit` waits for the journal to take PENDING, so that a watcher finds it.
PENDING_WAIT_SECONDS: Final = 0.2
MAX_SID_CHARS: Final = 64


@dataclass(frozen=True, slots=True)
class Job:
    """A task that was started.

    Attributes:
        id: its job id: Celery's task id.
        token: what a browser shows to watch it; None if everything is public and no key is set.
    """

    id: str
    token: str | None


def submit(
    task: Any,
    args: Iterable[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    sid: str | None = None,
    namespace: str | None = None,
    user: object = None,
    actions: Iterable[str] = ("watch",),
    **options: Any,
) -> Job:
    """Start a task and get what its user needs to watch it.

    The job is PENDING in the journal before the task is sent.

    Args:
        task: a task, a signature or chain (the last task is the job), or a task's name.
        args: the task's positional arguments.
        kwargs: its keyword arguments.
        sid: a Socket.IO client (``request.sid``) that becomes a watcher without asking.
        namespace: the namespace of that sid (``request.namespace``); default: the bridge's.
        user: whose job it is; its children inherit it.
        actions: what the token allows: any of ``watch`` and ``cancel``.
        **options: as for Celery's ``apply_async``, e.g. ``queue``, ``countdown``, ``task_id``.

    Returns:
        The job's id and a token for it.

    Raises:
        TypeError: `task` is a group, or nothing that can be started.
        SettingsError: no secret is set to sign the token with.
        InvalidId, ValueError: a task_id, user, sid or action is malformed.
        kombu.exceptions.OperationalError: Celery's broker can't be reached; the job is FAILURE.
    """
    name = _name_of(task)
    _check_sid(sid)
    settings = settings_for(task)
    job = check_job_id(options.pop("task_id", None) or str(uuid.uuid4()))
    owner = None if user is None else check_user_id(user)
    token = _token(settings, job, actions)
    outbox = outbox_of(settings)
    record = pending_record(job, name, user=owner, root=_root(task, job), parent=None)
    lane = outbox.put(job, FixedSource(record))
    if sid is not None:
        where = namespace or settings.namespace
        outbox.call(lambda sink: sink.join(sid, where, job))
    outbox.wait_acknowledged(lane, PENDING_WAIT_SECONDS)
    header = {"job": job, "queued_at": record["queued_at"]} | (
        {} if owner is None else {"user": owner}
    )
    options["headers"] = {**(options.get("headers") or {}), HEADER: header}
    task, options = _with_id(task, job, options)
    try:
        _start(task, list(args), dict(kwargs or {}), **options)
    except Exception as error:
        # No run's word: where it ran, eagerly, that has said itself how it ended.
        outbox.put(job, AmendedSource(record, "", _not_sent(error)))
        raise
    return Job(job, token)


def _not_sent(error: Exception) -> Callable[[dict[str, Any]], None]:
    """Make a queued job that never got to the broker a failed one."""
    described = describe_error(error)

    def amend(record: dict[str, Any]) -> None:
        now = round(time.time(), 3)
        record |= {"state": FAILURE, "error": described, "ended_at": now, "updated_at": now}

    return amend


def _name_of(task: Any) -> str:
    if isinstance(task, str) and task:
        return task
    last = task.tasks[-1] if isinstance(task, _chain) and task.tasks else task
    if isinstance(last, group):
        raise TypeError("submit: a group is many jobs: submit its tasks, or a chord of it")
    if isinstance(task, Signature) or hasattr(task, "apply_async"):
        return str(task.name)
    raise TypeError(f"submit({task!r}): a Celery task, a signature or a task's name is needed")


def _check_sid(sid: object) -> None:
    if sid is not None and (not isinstance(sid, str) or not 0 < len(sid) <= MAX_SID_CHARS):
        raise ValueError(f"submit: sid={sid!r}: a Socket.IO client's id (request.sid) is needed")


def _with_id(task: Any, job: str, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Give the job's id to the task that is the job: the last of a chain, the body of a chord.

    Celery does so by the option ``task_id``, but not in eager mode.
    """
    flow: Any = task.clone() if isinstance(task, Signature) else None
    if isinstance(task, _chain):
        flow.tasks = [*flow.tasks[:-1], flow.tasks[-1].clone().set(task_id=job)]
        return flow, options
    if isinstance(task, chord):
        flow.body = flow.body.clone().set(task_id=job)
        return flow, options
    return task, {**options, "task_id": job}


def _root(task: Any, job: str) -> str | None:
    """A job is its own root, unless it is the end of a chain, whose first task is."""
    return None if isinstance(task, _chain) else job


def _start(task: Any, args: list[Any], kwargs: dict[str, Any], **options: Any) -> None:
    if isinstance(task, str):
        current_app.send_task(task, args, kwargs, **options)
    else:
        task.apply_async(args, kwargs, **options)


def issue_token(
    job: str | Iterable[str] | None = None,
    *,
    root: str | None = None,
    user: object = None,
    actions: Iterable[str] = ("watch",),
    expires: float | None = None,
) -> str:
    """Sign a token for jobs that were started earlier, for a workflow, or for a user's jobs.

    Args:
        job: a job's id, or several.
        root: the id of a workflow's root instead.
        user: a user's id instead.
        actions: any of ``watch`` and ``cancel``.
        expires: seconds from now; default: RETENTION to watch, 1 hour to cancel.

    Raises:
        SettingsError: no secret is set.
        InvalidId, ValueError: an id, an action or `expires` is malformed.
    """
    return _tokens(settings_of()).issue(
        jobs=job, root=root, user=user, actions=actions, expires=expires
    )


def _token(settings: Settings, job: str, actions: Iterable[str]) -> str | None:
    if settings.public and not settings.secret_key:
        return None
    return _tokens(settings).issue(jobs=job, actions=actions)


def _tokens(settings: Settings) -> Tokens:
    return Tokens(settings.require_secret(), seconds=settings.retention)
