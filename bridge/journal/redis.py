"""The Redis journal: one script journals and publishes a message in one atomic step."""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, cast

from redis import Redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    LockError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from bridge.errors import QueueUnavailable
from bridge.journal.interface import Cancelled, Carrier, Page, Standing, VitalSigns
from bridge.journal.reading import EVENT_BYTES_A_READ, event_of, numbers_text, snapshot_of
from bridge.journal.trips import Trips
from bridge.records import (
    AGAIN,
    BROKEN,
    FINAL,
    LOST,
    OK,
    RANK,
    REPEATED,
    Publication,
    Reading,
    Receipt,
)
from bridge.rooms import (
    ALL_JOBS,
    events_key,
    index_key,
    job_room,
    lease_key,
    room_channel,
    root_room,
    running_key,
    state_key,
    user_room,
    versions_key,
)
from bridge.settings import Settings
from bridge.version import VERSION

#: The keys and the arguments of one run of a script.
_Call = tuple[Sequence[str], Sequence[Any]]
_OF_THE_SERVER = (
    AuthenticationError, AuthorizationError, NoPermissionError, NoScriptError, OutOfMemoryError,
    ReadOnlyError,
)  # fmt: skip
_SERVER_WORDS: Final = (
    "OOM", "READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSY", "NOPERM", "NOAUTH",
    "CLUSTERDOWN",
)  # fmt: skip


class _Script:
    """A Lua script and the name under which the server knows it."""

    def __init__(self, name: str) -> None:
        self.text = files("bridge.journal").joinpath(name).read_text()
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


#: What the journal keeps of a job that tells whether its worker lives.
_SIGNS: Final = ("srev", "seq", "rank", "lease", "verdict")
#: What it keeps for who executes the job.
_STANDING: Final = ("rev", "rid", "cancel", "verdict")
#: Who judges by leases has a clock of its own: they expire, after so many times their promise, only
#: to be tidied up, and one that the server's clock took away by a jump is no sign of death.
_LEASES_KEPT: Final = 4
#: A version that was not heard of for so long is no longer at work.
_VERSION_SECONDS: Final = 180
_MAX_VERSIONS: Final = 20
_VERSION: Final = re.compile(r"[\w.+!-]{1,40}", re.ASCII)
_PUBLISH, _READ, _CANCEL = _Script("publish.lua"), _Script("read.lua"), _Script("cancel.lua")
_SCRIPTS = (_PUBLISH, _READ, _CANCEL)


class RedisJournal:
    """A `Journal` in Redis >= 6.2 or Valkey.

    Args:
        client: a connection made by `bridge.journal.connect`.
        settings: channel, namespace, retention and caps.
        carrier: carries what was stored, where that is not Redis' own publish and subscribe.
    """

    promises_off: Sequence[str] = ()

    def __init__(self, client: Redis, settings: Settings, carrier: Carrier | None = None) -> None:
        self._carrier = carrier
        self._client = client
        self._trips = Trips(client)
        self._channel = settings.channel
        self._packet_head = f"2{settings.namespace},["
        self._lease_prefix = lease_key(settings.channel, "")
        self._running = running_key(settings.channel)
        self._versions = versions_key(settings.channel)
        self._retention_ms = settings.retention * 1000
        self._events_kept = settings.events_kept
        # Made in one thread and used in another, so its token must not be the thread's own.
        self._turn = client.lock(f"{settings.channel}:sweeper", blocking=False, thread_local=False)

    def publish(self, publications: Sequence[Publication]) -> list[Receipt]:
        """See `Journal.publish`."""
        replies = self._run(_PUBLISH, [self._publish_call(p) for p in publications])
        receipts = [_receipt(reply) for reply in replies]
        if self._carrier is None:
            return receipts
        return [
            self._carried(self._carrier, *each)
            for each in zip(publications, replies, receipts, strict=True)
        ]

    def _carried(self, carrier: Carrier, p: Publication, reply: Any, receipt: Receipt) -> Receipt:
        if receipt.status not in (OK, REPEATED):
            return receipt
        channels = [room_channel(self._channel, job_room(p.job))]
        if receipt.status == OK:
            frame, *others = reply[-3:]
            channels += [_text(other) for other in others if other]
            carrier.carry(channels, frame, keep=p.state in FINAL)
        return replace(receipt, receivers=int(carrier.listened_to(channels)))

    def read(self, requests: Sequence[tuple[str, int]]) -> list[Reading]:
        """See `Journal.read`."""
        calls = [
            (
                (state_key(self._channel, job), events_key(self._channel, job)),
                (since, EVENT_BYTES_A_READ),
            )
            for job, since in requests
        ]
        return [
            _reading(reply, since)
            for (_, since), reply in zip(requests, self._all(_READ, calls), strict=True)
        ]

    def list_jobs(self, room: str, limit: int, cursor: str | None = None) -> Page:
        """See `Journal.list_jobs`."""
        highest = "+inf" if cursor is None else f"({cursor}"
        found = cast(
            "list[tuple[bytes, float]]",
            self._ask(
                lambda: self._client.zrevrangebyscore(
                    index_key(self._channel, room), highest, "-inf", 0, limit, withscores=True
                )
            ),
        )
        more = len(found) == limit
        return Page(
            [_text(job) for job, _ in found], f"{found[-1][1]:.0f}" if more and found else None
        )

    def cancel(self, job: str) -> Cancelled:
        """See `Journal.cancel`."""
        (reply,) = self._all(_CANCEL, [((state_key(self._channel, job),), ())])
        return cast(Cancelled, _text(reply))

    def renew(self, leases: Sequence[str], seconds: float) -> None:
        """See `Journal.renew`."""

        kept = round(max(1, seconds * _LEASES_KEPT))
        beat = uuid.uuid4().hex[:12]

        def execute() -> None:
            pipeline = self._client.pipeline(transaction=False)
            for lease in leases:
                pipeline.set(self._lease_prefix + lease, beat, ex=kept)
            pipeline.hset(self._versions, VERSION, round(time.time()))
            pipeline.execute()

        self._ask(execute)

    def standings(self, jobs: Sequence[str]) -> list[Standing]:
        """See `Journal.standings`."""
        return [
            Standing(int(rev or 0), _text(run_id or b""), cancel is not None, _text(verdict or b""))
            for rev, run_id, cancel, verdict in self._fields(jobs, _STANDING)
        ]

    def vital_signs(self, jobs: Sequence[str]) -> list[VitalSigns]:
        """See `Journal.vital_signs`."""

        found = self._fields(jobs, _SIGNS)
        beats = self._beats(sorted({_text(fields[3]) for fields in found if fields[3]}))
        return [
            VitalSigns(
                job,
                rev=int(fields[0] or 0),
                seq=int(fields[1] or 0),
                running=fields[2] == b"1",
                waiting=fields[2] not in (b"1", b"3"),
                verdict=_text(fields[4] or b""),
                lease=_text(fields[3] or b""),
                beat=beats.get(_text(fields[3] or b""), ""),
            )
            for job, fields in zip(jobs, found, strict=True)
        ]

    def running(self, limit: int, offset: int = 0) -> list[str]:
        """See `Journal.running`."""
        found = self._ask(lambda: self._client.zrange(self._running, offset, offset + limit - 1))
        return [_text(job) for job in found]

    def forget_running(self, jobs: Sequence[str]) -> None:
        """See `Journal.forget_running`."""
        if jobs:
            self._ask(lambda: self._client.zrem(self._running, *jobs))

    def _fields(self, jobs: Sequence[str], names: Sequence[str]) -> list[list[bytes | None]]:
        def execute() -> list[Any]:
            pipeline = self._client.pipeline(transaction=False)
            for job in jobs:
                pipeline.hmget(state_key(self._channel, job), *names)
            return pipeline.execute()

        return cast("list[list[bytes | None]]", self._ask(execute))

    def _beats(self, leases: Sequence[str]) -> dict[str, str]:
        if not leases:
            return {}
        values = self._ask(lambda: self._client.mget([self._lease_prefix + x for x in leases]))
        return {lease: _text(value or b"") for lease, value in zip(leases, values, strict=True)}

    def take_turn(self, seconds: float) -> bool:
        """See `Journal.take_turn`."""

        def take() -> bool:
            self._turn.timeout = seconds
            try:
                return bool(self._turn.reacquire() if self._turn.owned() else self._turn.acquire())
            except LockError:
                return False

        return bool(self._ask(take))

    def announce(self, version: str) -> list[str]:
        """See `Journal.announce`."""
        now = time.time()

        def execute() -> list[Any]:
            pipeline = self._client.pipeline(transaction=False)
            pipeline.hset(self._versions, version, round(now))
            pipeline.pexpire(self._versions, self._retention_ms)
            pipeline.hkeys(self._versions)
            names = pipeline.execute()[-1][:_MAX_VERSIONS]
            stamps = cast("list[Any]", self._client.hmget(self._versions, names))
            return list(zip(names, stamps, strict=True))

        return [
            _text(name)
            for name, stamp in self._ask(execute)
            if _VERSION.fullmatch(_text(name))
            and stamp
            and stamp.isdigit()
            and now - int(stamp) < _VERSION_SECONDS
        ]

    def ping(self) -> None:
        """See `Journal.ping`."""
        # On the connection that serves, for another one may well be sound.
        (reply,) = self._ask(lambda: self._trips.make([("PING",)]))
        if isinstance(reply, Exception):
            raise QueueUnavailable(f"the journal refuses: {reply}") from reply

    def settle(self, seconds: float) -> bool:
        """See `Journal.settle`: what was published is stored."""
        return True

    def close(self) -> None:
        """See `Journal.close`."""
        self._client.close()

    def _publish_call(self, p: Publication) -> _Call:
        keys = [
            state_key(self._channel, p.job),
            events_key(self._channel, p.job),
            index_key(self._channel, ALL_JOBS),
        ]
        root_channel = user_channel = ""
        if p.root:
            keys.append(index_key(self._channel, root_room(p.root)))
            root_channel = room_channel(self._channel, root_room(p.root))
        if p.user:
            keys.append(index_key(self._channel, user_room(p.user)))
            user_channel = room_channel(self._channel, user_room(p.user))
        head = f"{self._packet_head}{_quoted(p.name)},"
        # A verdict about a dead worker is undone by any sign of life of the same run.
        rank = RANK[LOST] if p.verdict else RANK.get(p.state, 0)
        return keys, (
            p.job, p.kind, _bytes(p.body), _bytes(head), p.run_id, p.run, int(p.start), p.attempt,
            rank, p.run_entry, p.floor, p.nonce, p.n, "" if p.expect is None else p.expect,
            room_channel(self._channel, job_room(p.job)), root_channel, user_channel,
            self._retention_ms, self._events_kept, _bytes(p.name), p.skipped,
            p.lease, self._lease_prefix, self._running, p.state if p.verdict else "", p.beat,
            p.seq_floor, int(p.ended), int(p.redelivered), int(self._carrier is not None),
            int(p.again),
        )  # fmt: skip

    def _all(self, script: _Script, calls: Sequence[_Call]) -> list[Any]:
        """Run one script many times; any refusal fails them all."""
        replies = self._run(script, calls)
        for reply in replies:
            if isinstance(reply, Exception):
                raise QueueUnavailable(f"the journal refuses: {reply}") from reply
        return replies

    def _run(self, script: _Script, calls: Sequence[_Call]) -> list[Any]:
        """Run one script many times in one round trip; load it where the server forgot it.

        A `NoScriptError` remains where the server forgot it between two calls and another process
        loaded it again: what comes after is stored already, so this would be taken for a repeat.
        """
        replies = self._pipeline(script, calls)
        forgotten = [isinstance(reply, NoScriptError) for reply in replies]
        if any(forgotten):
            self._ask(lambda: [self._client.script_load(each.text) for each in _SCRIPTS])
            first = forgotten.index(True)
            if script is not _PUBLISH or all(forgotten[first:]):
                replies[first:] = self._pipeline(script, calls[first:])
        return replies

    def _pipeline(self, script: _Script, calls: Sequence[_Call]) -> list[Any]:
        commands = [
            ("EVALSHA", script.sha, len(keys), *keys, *arguments) for keys, arguments in calls
        ]
        return cast("list[Any]", self._ask(lambda: self._trips.make(commands)))

    def _ask(self, command: Any) -> Any:
        try:
            return command()
        except (RedisError, OSError) as error:
            raise QueueUnavailable(f"the journal can't be reached: {error}") from error


@lru_cache(maxsize=256)
def _quoted(name: str) -> str:
    return json.dumps(name)


def _receipt(reply: Any) -> Receipt:
    if isinstance(reply, Exception):
        return Receipt(AGAIN if _may_pass(reply) else BROKEN, reason=str(reply))
    status, rev, seq, run, receivers, cancel = reply[:6]
    return Receipt(_text(status), int(rev), int(seq), int(run), int(receivers), bool(int(cancel)))


def _may_pass(error: Exception) -> bool:
    """Whether it is the server's trouble, not that of a message which the script can't take."""
    if isinstance(error, _OF_THE_SERVER) or not isinstance(error, ResponseError):
        return True
    return any(word in str(error) for word in _SERVER_WORDS)


def _reading(reply: list[Any], since: int) -> Reading:
    if not reply:
        return Reading(None, [], since > 0, 0)
    srev, run, seq, epoch, runs, tail, flat, gap, run_id = reply
    snapshot = None
    if srev:
        numbers = numbers_text(_text(srev), _text(run), _text(seq), _text(epoch), _text(runs))
        snapshot = snapshot_of(numbers, _text(tail))
    events = [
        event_of(_text(name), _text(payload))
        for name, payload in zip(flat[::2], flat[1::2], strict=True)
    ]
    return Reading(snapshot, events, bool(gap), int(seq), _text(run_id))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
