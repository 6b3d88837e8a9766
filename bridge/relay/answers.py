"""What the node answers to watch, unwatch, cancel and the HTTP snapshot."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from bridge.errors import (
    Finished,
    QueueUnavailable,
    Refused,
    TooMany,
    Unavailable,
    UnknownJob,
)
from bridge.records import Reading
from bridge.relay.members import Member
from bridge.relay.permission import Permission
from bridge.relay.relay import Relay
from bridge.relay.requests import Cancel, WatchJobs, WatchRoom
from bridge.rooms import job_room
from bridge.tokens import CANCEL, WATCH

Answer = dict[str, Any]

_log = logging.getLogger(__name__)


def refusal(error: Refused) -> Answer:
    """Return the ack that says no."""
    return {"ok": False, "error": error.code, "message": str(error)}


class Answers:
    """Answers requests that have been checked for their form.

    Args:
        relay: this process's relay.
        permission: decides who may.
        max_watches: how many things one client may watch.
    """

    def __init__(self, relay: Relay, permission: Permission, *, max_watches: int) -> None:
        self._relay = relay
        self._permission = permission
        self._max_watches = max_watches

    def watch(self, member: Member, request: WatchJobs | WatchRoom) -> Answer:
        """Let a client watch.

        Raises:
            Refused: all of it is refused.
        """
        if isinstance(request, WatchRoom):
            return self._watch_room(member, request)
        return self._watch_jobs(member, request)

    def snapshot(self, job: str, since: int, token: str | None) -> Answer:
        """Return what a watch would, without watching.

        Raises:
            Refused: no permission, unknown job, or the journal can't be reached.
        """
        self._permission.job(WATCH, job, token, self._look)
        reading = self._read(job, since)
        if reading.snapshot is None and not reading.last_seq:
            raise UnknownJob("the journal knows nothing of this job")
        return {"ok": True, "job": job, **_told(reading)}

    def cancel(self, request: Cancel) -> Answer:
        """Ask a job to stop.

        Raises:
            Refused: no permission, unknown job, ended job, or the journal can't be reached.
        """
        self._permission.job(CANCEL, request.job, request.token, self._look)
        try:
            outcome = self._relay.reader.cancel(request.job)
        except QueueUnavailable as error:
            raise _unavailable(error) from error
        if outcome == "unknown":
            raise UnknownJob("the journal knows nothing of this job")
        if outcome == "finished":
            raise Finished("this job has ended already")
        return {"ok": True}

    def _watch_jobs(self, member: Member, request: WatchJobs) -> Answer:
        refused: dict[str, Refused] = {}
        for job in request.since:
            try:
                self._permission.job(WATCH, job, request.token, self._look)
            except Refused as error:
                if request.single or isinstance(error, Unavailable):
                    raise
                refused[job] = error
        allowed = {job: seq for job, seq in request.since.items() if job not in refused}
        watches = {job_room(job): (job_room(job),) for job in allowed}
        self._check_room_for(member, watches)
        readings = self._relay.watch(member, watches, list(allowed.items()))
        told = {
            job: {"ok": True, "job": job, **_told(reading)}
            for job, reading in zip(allowed, readings, strict=True)
        }
        if request.single:
            (answer,) = told.values()
            return answer
        answers = {
            job: told[job] if job in told else refusal(refused[job]) for job in request.since
        }
        return {"ok": True, "jobs": answers}

    def _watch_room(self, member: Member, request: WatchRoom) -> Answer:
        self._permission.room(request)
        # A root job itself has no root, so it tells only its own room.
        rooms = (request.room, job_room(request.ident))[: 2 if request.kind == "root" else 1]
        watches = {request.room: rooms}
        self._check_room_for(member, watches)
        self._relay.watch(member, watches, ())
        try:
            page = self._relay.reader.list_jobs(request.room, request.limit, request.cursor)
            jobs = list(page.jobs)
            if request.kind == "root" and request.cursor is None and request.ident not in jobs:
                jobs.append(request.ident)
            readings = self._relay.reader.read([(job, -1) for job in jobs])
        except QueueUnavailable as error:
            self._relay.unwatch(member, watches)
            raise _unavailable(error) from error
        self._relay.told([(job, -1) for job in jobs], readings)
        known = {
            job: {"snapshot": reading.snapshot}
            for job, reading in zip(jobs, readings, strict=True)
            if reading.snapshot is not None
        }
        return {"ok": True, "jobs": known, "cursor": page.cursor}

    def _check_room_for(self, member: Member, watches: Mapping[str, object]) -> None:
        new = sum(watch not in member.watches for watch in watches)
        if len(member.watches) + new > self._max_watches:
            raise TooMany(
                f"one client may watch {self._max_watches} things at a time: unwatch some first"
            )

    def _look(self, job: str) -> dict[str, Any] | None:
        return self._read(job, -1).snapshot

    def _read(self, job: str, since: int) -> Reading:
        try:
            (reading,) = self._relay.reader.read([(job, since)])
        except QueueUnavailable as error:
            raise _unavailable(error) from error
        return reading


def _told(reading: Reading) -> Answer:
    return {"snapshot": reading.snapshot, "events": reading.events, "gap": reading.gap}


def _unavailable(error: QueueUnavailable) -> Unavailable:
    _log.info("a request failed: %s", error)
    return Unavailable("the journal can't be reached just now: ask again soon")
