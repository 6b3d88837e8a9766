"""Workflows: chains, groups and chords, started as one whole that can be watched.

All tasks of a workflow get one root, which Celery hands on to whatever they start. It is the id of
the task that ends the workflow: the last of a chain, the body of a chord. A group has no such task;
its root is the group's id, under which there are its tasks and no job of its own.
"""

from __future__ import annotations

from typing import Any

from celery.canvas import _chain, chord, chunks, group, maybe_signature

from bridge.sender.run import HEADER


def is_workflow(task: Any) -> bool:
    """Whether something that is to be started is more than one task."""
    return isinstance(task, _chain | chord | group)


def end_of(task: Any) -> Any:
    """Return the task whose end is the end of the whole, None if a group ends it.

    Raises:
        TypeError: there is no task in it, or none that could tell anything.
    """
    if isinstance(task, chunks):
        raise TypeError(
            f"submit({task!r}): its parts are tasks of Celery without the decorator, so nobody "
            "would hear of it: submit a group of your own tasks"
        )
    if isinstance(task, _chain | group) and not task.tasks:
        raise TypeError(f"submit({task!r}): there is no task in it")
    if isinstance(task, _chain):
        return end_of(maybe_signature(task.tasks[-1], app=task.app))
    if isinstance(task, chord):
        return end_of(maybe_signature(task.body, app=task.app))
    return None if isinstance(task, group) else task


def with_id(task: Any, job: str) -> Any:
    """Return a copy whose last task, or the group that ends it, has this id.

    Celery does so by the option ``task_id``, but neither in eager mode nor for a chain in a chord.
    The task is marked as that job, for workers that find no decorator on it.
    """
    flow: Any = maybe_signature(task, clone=True)
    made: Any = flow
    if isinstance(flow, _chain):
        made.tasks = [*made.tasks[:-1], with_id(made.tasks[-1], job)]
    elif isinstance(flow, chord):
        made.body = with_id(made.body, job)
    else:
        made.set(task_id=job)
        if not isinstance(flow, group):
            made.set(headers={**(made.options.get("headers") or {}), HEADER: {"job": job}})
    return made


def with_header(task: Any, header: dict[str, Any]) -> Any:
    """Return a copy each of whose tasks has our header: in eager mode Celery hands it to some."""
    flow: Any = maybe_signature(task, clone=True)
    made: Any = flow
    if not is_workflow(flow):
        made.set(headers={**(made.options.get("headers") or {}), HEADER: header})
        return made
    tasks = getattr(made.tasks, "tasks", made.tasks)  # a chord's header may be a group
    made.tasks = [with_header(each, header) for each in tasks]
    if isinstance(flow, chord):
        made.body = with_header(made.body, header)
    return made
