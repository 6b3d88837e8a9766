"""What the node answers to watch, unwatch, cancel and the HTTP snapshot."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from bridge.errors import (
    Finished,
    QueueUnavailable,
    Refused,
    TooMany,
    Unavailable,
    UnknownJob,
)
from bridge.records import Reading
from bridge.relay.caller import Caller
from bridge.relay.members import Member
from bridge.relay.permission import Grant, Hearing, Permission
from bridge.relay.reader import Request
from bridge.relay.relay import Relay
from bridge.relay.requests import Cancel, WatchJobs, WatchRoom
from bridge.relay.termination import Termination
from bridge.rooms import ALL_JOBS, job_room, root_room, user_room
from bridge.settings import Settings
from bridge.tokens import CANCEL, WATCH

Answer = dict[str, Any]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobList:
    """Some jobs, newest first.

    Attributes:
        snapshots: their newest state records; a job that has been forgotten meanwhile is left out.
        cursor: what to ask with for the next ones, None after the last.
    """

    snapshots: list[dict[str, Any]]
    cursor: str | None


def refusal(error: Refused) -> Answer:
    """Return the ack that says no."""
    return {"ok": False, "error": error.code, "message": str(error)}


class Answers:
    """Answers requests that have been checked for their form.

    Args:
        relay: this process's relay.
        permission: decides who may.
        settings: how many things one client may watch, and how many clients a user may have.
        callers: tells who the client of a connection is.
        termination: the hard way to stop a job.
    """

    def __init__(
        self,
        relay: Relay,
        permission: Permission,
        settings: Settings,
        callers: Callable[[str], Caller],
        termination: Termination,
    ) -> None:
        self._termination = termination
        self._relay = relay
        self._permission = permission
        self._max_watches = settings.max_watches
        self._max_clients_user = settings.max_clients_user
        self._callers = callers

    def watch(self, member: Member, request: WatchJobs | WatchRoom) -> Answer:
        """Let a client watch.

        Raises:
            Refused: all of it is refused.
        """
        caller = self._callers(member.eio_sid)
        with self._counting(), self._permission.hear(request.token, caller) as hearing:
            if isinstance(request, WatchRoom):
                return self._watch_room(member, request, hearing)
            return self._watch_jobs(member, request, hearing)

    def snapshot(self, job: str, since: int, token: str | None, caller: Caller) -> Answer:
        """Return what a watch would, without watching.

        Raises:
            Refused: no permission, unknown job, or the journal can't be reached.
        """
        with self._counting(), self._permission.hear(token, caller) as hearing:
            hearing.job(WATCH, job, _Looks(self._read, [job]))
            (reading,) = self._read([(job, since)])
            if reading.snapshot is None and not reading.last_seq:
                raise UnknownJob("the journal knows nothing of this job")
            return {"ok": True, "job": job, **_told(reading, job, hearing)}

    def list_jobs(
        self, user: str | None, root: str | None, limit: int, cursor: str | None
    ) -> JobList:
        """List jobs for the host application, whose concern it is who may see them.

        Raises:
            Refused: the journal can't be reached.
        """
        room = user_room(user) if user else root_room(root) if root else ALL_JOBS
        try:
            page = self._relay.reader.list_jobs(room, limit, cursor)
        except QueueUnavailable as error:
            raise _unavailable(error) from error
        readings = self._read([(job, -1) for job in page.jobs])
        return JobList([r.snapshot for r in readings if r.snapshot is not None], page.cursor)

    def cancel(self, request: Cancel, caller: Caller) -> Answer:
        """Ask a job to stop.

        Raises:
            Refused: no permission, unknown job, ended job, the journal or Celery's broker can't be
                reached, or it is to be terminated and this node has no Celery app.
        """
        with self._counting(), self._permission.hear(request.token, caller) as hearing:
            grant = hearing.job(CANCEL, request.job, _Looks(self._read, [request.job]))
            if request.terminate:
                self._termination.check()
            try:
                outcome = self._relay.reader.cancel(request.job)
            except QueueUnavailable as error:
                raise _unavailable(error) from error
            _log.info(
                "job %s: cancel asked by %s from %s: %s",
                request.job, grant.who, caller.address, outcome,
            )  # fmt: skip
            if outcome == "unknown":
                raise UnknownJob("the journal knows nothing of this job")
            if outcome == "finished":
                raise Finished("this job has ended already")
            if request.terminate:
                self._termination.terminate(request.job)
        self._relay.counters.add("cancel")
        return {"ok": True}

    def cancel_by(self, member: Member, request: Cancel) -> Answer:
        """Do the same for a connected client."""
        return self.cancel(request, self._callers(member.eio_sid))

    def _watch_jobs(self, member: Member, request: WatchJobs, hearing: Hearing) -> Answer:
        if len(request.since) > self._max_watches:
            self._refuse_watches()  # before any of them costs anything
        refused: dict[str, Refused] = {}
        grants: dict[str, Grant] = {}
        look = _Looks(self._read, list(request.since))
        for job in request.since:
            try:
                grants[job] = hearing.job(WATCH, job, look)
            except Refused as error:
                if request.single or isinstance(error, Unavailable):
                    raise
                refused[job] = error
                self._relay.counters.add(f"refused.{error.code}")
        watches = {job_room(job): (job_room(job),) for job in grants}
        self._check_room_for(member, watches, grants.values())
        readings = self._relay.watch(
            member,
            watches,
            [(job, request.since[job]) for job in grants],
            {job_room(job): grant.ends for job, grant in grants.items()},
        )
        told = {
            job: {"ok": True, "job": job, **_told(reading, job, hearing)}
            for job, reading in zip(grants, readings, strict=True)
        }
        if request.single:
            (answer,) = told.values()
            return answer
        answers = {
            job: told[job] if job in told else refusal(refused[job]) for job in request.since
        }
        return {"ok": True, "jobs": answers}

    def _watch_room(self, member: Member, request: WatchRoom, hearing: Hearing) -> Answer:
        grant = hearing.room(request, _Looks(self._read, [request.ident]))
        # A root job itself has no root, so it tells only its own room.
        rooms = (request.room, job_room(request.ident))[: 2 if request.kind == "root" else 1]
        watches = {request.room: rooms}
        self._check_room_for(member, watches, [grant])
        new = [watch for watch in watches if watch not in member.watches]
        self._relay.watch(member, watches, (), {request.room: grant.ends})
        try:
            page = self._relay.reader.list_jobs(request.room, request.limit, request.cursor)
            jobs = list(page.jobs)
            if request.kind == "root" and request.cursor is None and request.ident not in jobs:
                jobs.append(request.ident)
            readings = self._relay.reader.read([(job, -1) for job in jobs])
        except QueueUnavailable as error:
            self._relay.unwatch(member, new)
            raise _unavailable(error) from error
        self._relay.told([(job, -1) for job in jobs], readings)
        known = {
            job: {
                "snapshot": reading.snapshot,
                "actions": hearing.actions(job, reading.snapshot),
            }
            for job, reading in zip(jobs, readings, strict=True)
            if reading.snapshot is not None
        }
        return {"ok": True, "jobs": known, "cursor": page.cursor}

    def _check_room_for(
        self, member: Member, watches: Mapping[str, object], grants: Iterable[Grant]
    ) -> None:
        new = sum(watch not in member.watches for watch in watches)
        if len(member.watches) + new > self._max_watches:
            self._refuse_watches()
        for user in {grant.user for grant in grants if grant.user is not None}:
            if not self._relay.members.belong(member, user, self._max_clients_user):
                self._relay.counters.add("limit.user")
                raise TooMany(
                    f"one user may have {self._max_clients_user} connections: close some first"
                )

    def _refuse_watches(self) -> NoReturn:
        self._relay.counters.add("limit.watches")
        raise TooMany(
            f"one client may watch {self._max_watches} things at a time: unwatch some first"
        )

    def _read(self, requests: Sequence[Request]) -> list[Reading]:
        try:
            return self._relay.reader.read(requests)
        except QueueUnavailable as error:
            raise _unavailable(error) from error

    @contextmanager
    def _counting(self) -> Iterator[None]:
        try:
            yield
        except Refused as error:
            self._relay.counters.add(f"refused.{error.code}")
            raise


class _Looks:
    """The snapshots of a request's jobs, read together when the first of them is asked for."""

    def __init__(
        self, read: Callable[[Sequence[Request]], list[Reading]], jobs: Sequence[str]
    ) -> None:
        self._read = read
        self._jobs = jobs
        self._found: dict[str, dict[str, Any] | None] | None = None

    def __call__(self, job: str) -> dict[str, Any] | None:
        if self._found is None:
            readings = self._read([(each, -1) for each in self._jobs])
            pairs = zip(self._jobs, readings, strict=True)
            self._found = {each: reading.snapshot for each, reading in pairs}
        return self._found[job]


def _told(reading: Reading, job: str, hearing: Hearing) -> Answer:
    return {
        "snapshot": reading.snapshot,
        "events": reading.events,
        "gap": reading.gap,
        "actions": hearing.actions(job, reading.snapshot),
    }


def _unavailable(error: QueueUnavailable) -> Unavailable:
    _log.info("a request failed: %s", error)
    return Unavailable("the journal can't be reached just now: ask again soon")
