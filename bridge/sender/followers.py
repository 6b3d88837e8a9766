"""What follows a task in a workflow, and will never run once that has failed or was cancelled.

Celery stores the failure of a chain's task for all tasks after it, and that of a chord's header for
its body; none of these is ever sent, so no signal of their own tells how they ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from celery import signals
from celery.exceptions import ChordError, TaskRevokedError

from bridge.records import FAILURE, REVOKED, blank_record
from bridge.sender.lane import AmendedSource
from bridge.sender.lifecycle import context_of, ending, is_bridged, is_sound, open_of
from bridge.sender.process import outbox_of, settings_of
from bridge.sender.run import HEADER, header_of, read_header

#: So many followers of one task are told of.
MAX_FOLLOWERS: Final = 10_000


@signals.task_failure.connect(weak=False)
def _failed(
    sender: Any = None, task_id: str | None = None, exception: Any = None, **_: Any
) -> None:
    """A task has failed, bridged or not."""
    if sender is not None and task_id is not None:
        _end_followers(sender, context_of(sender, task_id), FAILURE, exception)


@signals.task_revoked.connect(weak=False)
def _revoked(sender: Any = None, request: Any = None, **_: Any) -> None:
    """A queued task was revoked or expired, or a running one was terminated."""
    if sender is not None and request is not None:
        _end_followers(sender, getattr(request, "_context", request), REVOKED)


@signals.task_postrun.connect(weak=False)
def _ran(sender: Any = None, **_: Any) -> None:
    """A job that was cancelled while it ran is revoked without that signal."""
    progress = open_of(sender)
    if progress is not None and progress.state == REVOKED:
        _end_followers(sender, sender.request, REVOKED)


def _end_followers(task: Any, request: Any, state: str, error: object = None) -> None:
    if request is None or not (request.chain or request.chord):
        return
    for signature in request.chain or ():
        _end_all(task.app, signature, request, state, error)
    if request.chord:
        # In Celery's words; a part that was revoked fails it, too.
        cause = TaskRevokedError("cancelled") if error is None else error
        error = ChordError(f"Dependency {request.id} raised {cause!r}")
        _end_all(task.app, request.chord, request, FAILURE, error)


def _end_all(app: Any, signature: Any, request: Any, state: str, error: object) -> None:
    for each in islice(_tasks_in(signature), MAX_FOLLOWERS):
        _end(app, each, request, state, error)


def _tasks_in(signature: Any) -> Iterator[dict[str, Any]]:
    """Tell the tasks of a signature, and of what follows it in turn."""
    waiting = [signature]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, dict):
            continue
        kwargs, options = each.get("kwargs") or {}, each.get("options") or {}
        kind = each.get("subtask_type")
        if kind in ("chain", "group"):
            waiting += kwargs.get("tasks") or ()
        elif kind == "chord":
            waiting.append(kwargs.get("body"))
        else:
            yield each
        waiting += options.get("chain") or ()
        waiting.append(options.get("chord"))


def _end(app: Any, signature: dict[str, Any], request: Any, state: str, error: object) -> None:
    """End a task that was never sent; what has run, or has ended, stays as it is."""
    options = signature.get("options") or {}
    name, job = signature.get("task"), options.get("task_id")
    submitted = read_header((options.get("headers") or {}).get(HEADER)).get("job") == job
    if not is_sound(job) or not (submitted or is_bridged(app.tasks.get(name))):
        return
    blank = blank_record(str(job), str(name)) | {
        "root": request.root_id, "parent": request.id, "user": header_of(request).get("user")
    }  # fmt: skip
    outbox_of(settings_of(app)).put(str(job), AmendedSource(blank, "", ending(state, error)))
