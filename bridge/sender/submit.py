"""`submit`: start a task from a web app so that its user can watch it from the first moment."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from celery import current_app
from celery.canvas import Signature

from bridge.records import FAILURE
from bridge.rooms import check_job_id, check_user_id
from bridge.sender.lane import AmendedSource, FixedSource
from bridge.sender.lifecycle import ending, pending_record
from bridge.sender.outbox import Outbox
from bridge.sender.process import outbox_of, settings_for, settings_of
from bridge.sender.run import HEADER
from bridge.sender.workflow import end_of, is_workflow, with_header, with_id
from bridge.settings import Settings
from bridge.tokens import Tokens

#: How long `submit` waits for the journal to take PENDING, so that a watcher finds it.
PENDING_WAIT_SECONDS: Final = 0.2
MAX_SID_CHARS: Final = 64


@dataclass(frozen=True, slots=True)
class Job:
    """A task or a workflow that was started.

    Attributes:
        id: its job id: Celery's task id. Of a workflow it is also the root of all its jobs; of a
            group it is only that.
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

    The job is PENDING in the journal before the task is sent. Of a chain, a chord or a group all
    tasks are jobs of one root, whose id is the job's: ``<task-progress root>`` and ``watch {root}``
    show the whole, with the same token.

    Args:
        task: a task, a task's name, a signature, a chain (its last task is the job), a chord (its
            body is the job) or a group (its id is a root only).
        args: the task's positional arguments.
        kwargs: its keyword arguments.
        sid: a Socket.IO client (``request.sid``) that becomes a watcher of the job without asking.
        namespace: the namespace of that sid (``request.namespace``); default: the bridge's.
        user: whose job it is; its children inherit it.
        actions: what the token allows: any of ``watch`` and ``cancel``.
        **options: as for Celery's ``apply_async``, e.g. ``queue``, ``countdown``, ``task_id``.

    Returns:
        The job's id and a token for it; of a workflow the token is for all its jobs.

    Raises:
        TypeError: `task` is nothing that can be started.
        SettingsError: no secret is set to sign the token with.
        InvalidId, ValueError: a task_id, user, sid or action is malformed; a sid for a group.
        kombu.exceptions.OperationalError: Celery's broker can't be reached; the job is FAILURE.
    """
    name = _name_of(task)
    _check_sid(sid, name)
    settings = settings_for(task)
    job = check_job_id(options.pop("task_id", None) or str(uuid.uuid4()))
    owner = None if user is None else check_user_id(user)
    token = _token(settings, job, actions, whole=is_workflow(task))
    outbox = outbox_of(settings)
    record = pending_record(job, name, user=owner, root=job, parent=None)
    header = {"queued_at": record["queued_at"]} | ({} if owner is None else {"user": owner})
    if is_workflow(task):
        header["root"] = job
    if name is not None:
        header["job"] = job
        _announce(outbox, record, sid, namespace or settings.namespace)
    options["headers"] = {**(options.get("headers") or {}), HEADER: header}
    try:
        _start(task, job, list(args), dict(kwargs or {}), options)
    except Exception as error:
        if name is not None:
            # No run's word: where it ran, eagerly, that has said itself how it ended.
            outbox.put(job, AmendedSource(record, "", ending(FAILURE, error)))
        raise
    return Job(job, token)


def _announce(outbox: Outbox, record: dict[str, Any], sid: str | None, namespace: str) -> None:
    """Journal that the job is queued, and let a client watch it."""
    job = record["job"]
    lane = outbox.put(job, FixedSource(record))
    if sid is not None:
        outbox.call(lambda sink: sink.join(sid, namespace, job))
    outbox.wait_acknowledged(lane, PENDING_WAIT_SECONDS)


def _name_of(task: Any) -> str | None:
    """The name of the task that is the job, None if a group is to be started."""
    if isinstance(task, str) and task:
        return task
    if isinstance(task, Signature) or hasattr(task, "apply_async"):
        end = end_of(task)
        return None if end is None else str(end.name)
    raise TypeError(f"submit({task!r}): a Celery task, a signature or a task's name is needed")


def _check_sid(sid: object, name: str | None) -> None:
    if sid is None:
        return
    if not isinstance(sid, str) or not 0 < len(sid) <= MAX_SID_CHARS:
        raise ValueError(f"submit: sid={sid!r}: a Socket.IO client's id (request.sid) is needed")
    if name is None:
        raise ValueError(
            "submit: sid= makes a client watch one job, and a group is many: let it watch the "
            "root, or submit a chord"
        )


def _start(
    task: Any, job: str, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any]
) -> None:
    if isinstance(task, str):
        current_app.send_task(task, args, kwargs, task_id=job, **options)
    elif not is_workflow(task):
        task.apply_async(args, kwargs, task_id=job, **options)
    else:
        flow = with_id(task, job)
        if flow.app.conf.task_always_eager:
            flow = with_header(flow, options["headers"][HEADER])
        flow.apply_async(args, kwargs, root_id=job, **options)


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


def _token(settings: Settings, job: str, actions: Iterable[str], *, whole: bool) -> str | None:
    if settings.public and not settings.secret_key:
        return None
    about: dict[str, Any] = {"root": job} if whole else {"jobs": job}
    return _tokens(settings).issue(**about, actions=actions)


def _tokens(settings: Settings) -> Tokens:
    return Tokens(settings.require_secret(), seconds=settings.retention)
