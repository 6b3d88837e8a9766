"""The relay of one serving process: rooms, the subscriber, the journal and the sockets, tied.

Order is all: a client enters its room, the subscription is confirmed, and only then the journal is
read for it, so nothing is missed between the two. Nothing waits in the thread that listens.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from celery import Celery

from bridge.errors import QueueUnavailable, Unavailable
from bridge.frames import Frame
from bridge.journal import open_journal
from bridge.message_queue.choice import carrier_of, line_of
from bridge.message_queue.subscriber import Subscriber, Ticket
from bridge.records import Reading
from bridge.relay.catch_up import CatchUp, Gap
from bridge.relay.counters import Counters
from bridge.relay.direct import Direct, is_supported
from bridge.relay.fanout import Fanout
from bridge.relay.joining import Joining, is_here
from bridge.relay.members import Member, Members
from bridge.relay.message import Aside, Malformed, Message, cut_at, messages_of, outline_of
from bridge.relay.outcomes import outcomes_of
from bridge.relay.reader import Reader, Request
from bridge.relay.resync import Resync, rooms_of
from bridge.relay.sweep import Sweep
from bridge.relay.trails import Trail, Trails
from bridge.relay.versions import Versions
from bridge.rooms import job_room, relay_channel, room_channel, split_room
from bridge.settings import DIRECT, Settings

CONFIRM_SECONDS: Final = 2.0
TEND_SECONDS: Final = 0.25
#: Tells a client that its token has run out, so that it no longer watches.
EXPIRED_EVENT: Final = "bridge:expired"

_log = logging.getLogger(__name__)


class Relay:
    """Brings jobs to the clients of one process.

    Args:
        settings: the node's settings.
        server: the python-socketio server that holds the clients.
        celery: the app whose workers do the jobs, if it is known.
    """

    def __init__(self, settings: Settings, server: Any, celery: Celery | None = None) -> None:
        self._settings = settings
        self._server = server
        self._relay_channel = relay_channel(settings.channel)
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._room_of_channel: dict[str, str] = {}
        self._largest_frame = 2 * settings.max_payload + 262_144
        self._trails = Trails()
        #: The direct way to WebSockets; None where Engine.IO's own is used.
        self.direct = self._open_direct()
        outlets = None if self.direct is None else self.direct.outlets
        self._fanout = Fanout(server, settings.namespace, outlets)
        self._carrier = carrier = carrier_of(settings)
        self._subscriber = Subscriber(
            line_of(settings, carrier),
            settings.channel,
            on_message=self._on_message,
            on_lost=self._on_lost,
            on_recovered=self._on_recovered,
        )
        self.members = Members(self._on_empty, self._lock)
        self._journal = open_journal(settings, celery=celery)
        self.reader = Reader(self._journal)
        self._catch_up = CatchUp(self.reader)
        self._joining = Joining(server, self.members)
        self._resync = Resync(
            self._trails, self.members, self.reader, self._catch_up, self._fanout,
            pass_on=self._pass_on, namespace=settings.namespace,
            lock=self._lock, stopped=self._stopped,
        )  # fmt: skip
        self._sweep = Sweep(
            settings, self._resync, outcomes_of(settings, celery),
            journal=open_journal(settings, carrier, celery),
        )  # fmt: skip
        self.versions = Versions(settings.channel, self.reader.announce)
        self.counters = Counters()
        #: What else is done now and then, in the thread that tends.
        self.chores: list[Callable[[], None]] = []

    def _open_direct(self) -> Direct | None:
        mode = self._server.async_mode
        if self._settings.fanout != DIRECT or not is_supported(mode):
            return None
        return Direct(mode, self._server, self._on_cut)

    def _on_cut(self, eio_sid: str) -> None:
        self.counters.add("limit.slow")
        _log.warning("the connection %s reads nothing and was closed", eio_sid)

    def start(self) -> None:
        """Start the relay's threads; returns at once."""
        self._sweep.start()
        self.versions.start()
        self.reader.start()
        self._catch_up.start()
        self._subscriber.start()
        threading.Thread(target=self._tend, name="bridge_tend", daemon=True).start()

    def stop(self) -> None:
        """Stop listening; clients stay connected."""
        self._stopped.set()
        self._sweep.stop()
        self.versions.stop()
        self._subscriber.stop()
        self._catch_up.stop()
        self.reader.stop()
        self._journal.close()

    @property
    def promises_off(self) -> Sequence[str]:
        """See `Journal.promises_off`."""
        return self._journal.promises_off

    @property
    def heard_seconds(self) -> float | None:
        """See `Subscriber.heard_seconds`."""
        return self._subscriber.heard_seconds

    @property
    def deliveries(self) -> tuple[int, int]:
        """How many messages of jobs went to clients, and how many were left out for slow ones."""
        return self._fanout.delivered, self._fanout.left_out

    @property
    def not_carried(self) -> int:
        """How many messages of jobs RabbitMQ did not take from this node; they are journalled."""
        return 0 if self._carrier is None else self._carrier.dropped

    def watch(
        self,
        member: Member,
        watches: Mapping[str, Sequence[str]],
        requests: Sequence[Request],
        ends: Mapping[str, float | None] | None = None,
    ) -> list[Reading]:
        """Put a client into rooms, then read jobs for it.

        Args:
            member: the client.
            watches: what it watches, each with the rooms that this takes.
            requests: the jobs to read.
            ends: the Unix second at which each watch's permission ends; None: it doesn't.

        Raises:
            Unavailable: the queue or the journal can't be reached; no new watch stands.
        """
        new = [watch for watch in watches if watch not in member.watches]
        try:
            tickets = [
                ticket
                for watch, rooms in watches.items()
                for ticket in self._enter(member, watch, rooms, (ends or {}).get(watch))
            ]
            if not all(ticket.wait(CONFIRM_SECONDS) for ticket in tickets):
                raise QueueUnavailable("the message queue does not confirm the subscription")
            readings = self.reader.read(requests)
        except QueueUnavailable as error:
            self.unwatch(member, new)
            _log.info("a watch failed: %s", error)
            raise Unavailable("the journal can't be reached just now: ask again soon") from error
        self.told(requests, readings)
        return readings

    def told(self, requests: Sequence[Request], readings: Sequence[Reading]) -> None:
        """Remember from where a resync must go on for clients that were told this."""
        with self._lock:
            for (job, _), reading in zip(requests, readings, strict=True):
                state = reading.snapshot or {"run": 0, "rev": 0}
                self._trails.of(job).told(state["run"], state["rev"], reading.last_seq)

    def unwatch(self, member: Member, watches: Iterable[str]) -> None:
        """Take a client out of what it watched; what it didn't watch is no matter."""
        for watch in watches:
            self._leave(member, self.members.leave(member, watch))

    def _leave(self, member: Member, rooms: Iterable[str]) -> None:
        for room in rooms:
            if not member.gone and member.inbox is None:
                self._server.leave_room(member.sid, room, namespace=member.namespace)

    def _enter(
        self, member: Member, watch: str, rooms: Sequence[str], ends: float | None
    ) -> list[Ticket]:
        if not self.members.enter(member, watch, rooms, ends):
            return []
        for room in rooms if member.inbox is None else ():
            # Other processes emit to it by python-socketio's own means. It may be gone by now.
            with contextlib.suppress(KeyError, ValueError):
                self._server.enter_room(member.sid, room, namespace=member.namespace)
        return [self._subscribe(room) for room in rooms]

    def _subscribe(self, room: str) -> Ticket:
        channel = room_channel(self._settings.channel, room)
        self._room_of_channel[channel] = room
        kind, ident = split_room(room) or ("", "")
        if kind == "job":
            with self._lock:
                self._trails.of(ident)  # so that a loss of the queue from now on is made good
        return self._subscriber.subscribe(channel)

    def _on_empty(self, room: str) -> None:
        channel = room_channel(self._settings.channel, room)
        self._room_of_channel.pop(channel, None)
        self._subscriber.unsubscribe(channel)
        kind, ident = split_room(room) or ("", "")
        if kind == "job":
            self._trails.forget(ident)
        elif not self.members.overlap:
            self._forget_unlistened()

    def _forget_unlistened(self) -> None:
        """Forget the jobs that were heard of in the rooms of roots and users only."""
        for job, _ in self._trails:
            if room_channel(self._settings.channel, job_room(job)) not in self._room_of_channel:
                self._trails.forget(job)

    def _on_message(self, channel: str, data: bytes) -> None:
        try:
            if channel == self._relay_channel:
                self._on_join(data)
                return
            room = self._room_of_channel.get(channel)
            if room is not None:
                self._on_frame(room, data)
        except ValueError as error:
            self.counters.add(f"queue.{getattr(error, 'reason', 'frame')}")
            if self.counters.add("queue.malformed") == 1:
                _log.warning(
                    "a malformed message on %s was dropped (told once): %s", channel, error
                )

    def _on_frame(self, room: str, data: bytes) -> None:
        if len(data) > self._largest_frame:
            raise Malformed(
                "size", f"a message of {len(data)} bytes, {self._largest_frame} are allowed"
            )
        frame = Frame.parse(data)
        if room.startswith("job:") and room != job_room(frame.job):
            raise Malformed("other_job", "a message of another job")
        message = Message.from_frame(frame, self._settings.namespace)
        with self._lock:
            trail = self._trails.of(message.job)
            if trail.aside is not None:
                trail.aside.add(message, room)
            else:
                self._pass_on(trail, message, self.members.of(room))

    def _pass_on(self, trail: Trail, message: Message, members: Iterable[Member]) -> None:
        """Deliver a message once to each member, though it comes by several channels."""
        reached = trail.reached
        if message.rev > trail.rev:
            trail.advance(message)
            reached = set() if self.members.overlap else None
        elif message.rev < trail.rev or reached is None:
            return
        if reached is not None:
            members = [member for member in members if member not in reached]
            reached.update(members)
            trail.reached = reached
        self._fanout.deliver(message, members)

    def _on_join(self, data: bytes) -> None:
        joined = self._joining.join(data)
        if joined is None:
            return
        member, job = joined
        if member.rooms[job_room(job)]:
            return
        aside = member.aside[job] = Aside()
        # As long as the token that `submit` gave with it.
        ends = time.time() + self._settings.retention
        (ticket,) = self._enter(member, job_room(job), (job_room(job),), ends) or (None,)
        self._catch_up.add(self._gap_of_member(member, job, 0, aside, ticket))

    def _gap_of_member(
        self, member: Member, job: str, since: int, aside: Aside, ticket: Ticket | None = None
    ) -> Gap:
        return Gap(
            job, since, aside,
            fill=lambda reading: self._tell_member(member, job, aside, reading),
            wanted=lambda: not member.gone and member.aside.get(job) is aside,
            ticket=ticket,
        )  # fmt: skip

    def _tell_member(self, member: Member, job: str, aside: Aside, reading: Reading) -> Gap | None:
        messages = list(messages_of(job, reading))
        cut = cut_at(reading)
        if cut is not None and member.namespace == self._settings.namespace:
            messages, cut = outline_of(job, reading), None
        rev = max((message.rev for message in messages), default=0)
        with self._lock:
            if member.aside.get(job) is not aside:
                return None
            if not any(room in member.rooms for room in rooms_of(job, reading)):
                del member.aside[job]  # its permission has ended meanwhile
                return None
            if all(self._fanout.push(member, message) for message in messages):
                if cut is not None or aside.overflowed:
                    since = reading.last_seq if cut is None else cut
                    return self._gap_of_member(member, job, since, aside)
                for message, _ in aside.after(rev):
                    if not self._fanout.push(member, message):
                        break
                    rev = message.rev
                member.told[job] = rev
            del member.aside[job]
        return None

    def _on_lost(self) -> None:
        self._disturb()
        self._resync.set_aside()

    def _disturb(self) -> None:
        # RabbitMQ holds no leases.
        if not self._settings.by_rabbitmq:
            self._sweep.disturbed()

    def _on_recovered(self) -> None:
        self._disturb()
        self._server.start_background_task(self._resync.all)

    def _tend(self) -> None:
        """What must be done now and then: empty rooms are given up, drained clients caught up."""
        while not self._stopped.wait(TEND_SECONDS):
            try:
                self._end_expired()
                self.members.close_empty()
                self._forget_foreign()
                for chore in self.chores:
                    chore()
                with self._lock:
                    drained = self._fanout.drained()
                for member in drained:
                    self._catch_up_member(member)
            except Exception:  # noqa: BLE001 - tending goes on
                _log.exception("tending the rooms failed")

    def _end_expired(self) -> None:
        """Take clients out of what their tokens no longer allow, and tell them."""
        for member, watch, rooms in self.members.leave_expired(time.time()):
            self._leave(member, rooms)
            self.counters.add("expired.watch")
            kind, ident = split_room(watch) or ("", "")
            self._fanout.tell(member, EXPIRED_EVENT, {kind: ident})

    def _forget_foreign(self) -> None:
        """Forget clients that left a namespace of the host's, which tells nobody."""
        manager = self._server.manager
        for member in self.members.outside(self._settings.namespace):
            if not is_here(manager, member.sid, member.namespace):
                self.members.disconnect(member)

    def _catch_up_member(self, member: Member) -> None:
        with self._lock:
            gaps = []
            for job, since in member.behind.items():
                aside = member.aside[job] = Aside()
                gaps.append(self._gap_of_member(member, job, since, aside))
            member.behind.clear()
        for gap in gaps:
            self._catch_up.add(gap)
