"""`emit`: the worker-side API for events, to a job, a room or a client."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from bridge.records import Publication, check_event_name, encode
from bridge.rooms import check_job_id, job_room
from bridge.sender.outbox import Outbox
from bridge.sender.process import outbox_of, settings_of
from bridge.sender.progress import SendEvent, open_progress
from bridge.sender.run import Run


def emit(
    name: str,
    data: Any = None,
    *,
    job: str | None = None,
    to: str | None = None,
    room: str | None = None,
    namespace: str | None = None,
) -> None:
    """Send an event to those who watch a job, or to a room or a client.

    It never waits. Events of a job are journalled: late watchers get them too. Events with `to` or
    `room` reach only who is there, and have ``rev`` and ``seq`` null.

    Args:
        name: the Socket.IO event's name; some are reserved.
        data: anything that JSON can hold, up to MAX_PAYLOAD.
        job: the job's id; default: the job that runs here.
        to: a client's sid, or a room.
        room: the same as `to`.
        namespace: where `to` or `room` is; default: the bridge's own namespace.

    Raises:
        ReservedName, PayloadError, InvalidId: at the call, before anything is sent.
        ValueError: there is no job here and none was named, or too many targets were.
    """
    check_event_name(name)
    target = to if to is not None else room
    if sum(given is not None for given in (job, to, room)) > 1:
        raise ValueError("emit: only one of job=, to= and room= can be given")
    if namespace is not None and target is None:
        raise ValueError("emit: namespace= goes with to= or room=; a job has the bridge's own")
    progress = open_progress()
    if target is None and job is None:
        if progress is None:
            raise ValueError(f"emit({name!r}): no job runs here, so give job=, to= or room=")
        progress.emit(name, data)
        return
    settings = settings_of()
    text = encode(data, what=f"the data of event {name!r}", limit=settings.max_payload)
    if target is None and not settings.in_result_backend:
        outbox_of(settings).event(_event(check_job_id(job), name, text))
        return
    about = job or (progress.job if progress is not None else None) or None
    if target is None:
        # Who runs the job alone counts its events there: this one goes to who watches just now.
        target = job_room(check_job_id(job))
    if not isinstance(target, str) or not target:
        raise ValueError(f"emit: to={target!r}: a client's sid or a room's name is needed")
    # A copy: what the caller changes in its data later must not be sent.
    data = json.loads(text)
    payload = {"job": about, "rev": None, "run": None, "seq": None, "at": _now(), "data": data}
    where = namespace or settings.namespace
    outbox_of(settings).call(lambda sink: sink.send(name, payload, to=target, namespace=where))


def events_of(run: Run, open_outbox: Callable[[], Outbox]) -> SendEvent:
    """Return what sends the events of a run that executes here.

    Args:
        run: the run.
        open_outbox: gives the outbox of the process that calls: a task may fork.
    """
    root = run.root if run.root and run.root != run.job else ""

    def send(name: str, text: str) -> None:
        event = _event(run.job, name, text)
        event.run_id, event.attempt, event.start = run.run_id, run.attempt, True
        event.root, event.user = root, run.user or ""
        open_outbox().event(event)

    return send


def _event(job: str, name: str, text: str) -> Publication:
    return Publication(job=job, kind="event", name=name, body=f'"at":{_now()},"data":{text}}}')


def _now() -> float:
    return round(time.time(), 3)
