"""Where journals are, and what a test may do to each behind its back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Protocol

import fakeredis
from redis import Redis

from bridge.journal import Journal, RedisJournal, open_journal
from bridge.journal.memory import MemoryJournal, _shelves
from bridge.journal.results import Results
from bridge.message_queue.choice import carrier_of, line_of
from bridge.rooms import events_key, room_channel, state_key
from bridge.settings import Settings


class Ground(Protocol):
    """Where a journal is.

    Attributes:
        lease: that of the process that publishes, where the journal makes a difference by it.
    """

    settings: Settings
    lease: str

    def journal(self) -> Journal:
        """Another process's, if it can have one."""

    def forget(self, job: str) -> None:
        """Lose all of a job."""

    def freeze(self, job: str) -> Callable[[], None]:
        """Remember how things are; returns what brings that back."""

    def listen(self, *rooms: str) -> Callable[[], bytes | None]:
        """Listen in rooms; returns what gives the next message, None if there is none."""

    def senders(self, job: str) -> int:
        """How many senders are remembered, about."""


class RedisGround:
    lease = ""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.client = client
        self.settings = settings

    def journal(self) -> Journal:
        return RedisJournal(self.client, self.settings)

    def names(self, job: str) -> tuple[str, str]:
        return state_key(self.settings.channel, job), events_key(self.settings.channel, job)

    def forget(self, job: str) -> None:
        self.client.delete(*self.names(job))

    def freeze(self, job: str) -> Callable[[], None]:
        kept = {name: self.client.dump(name) for name in self.names(job)}

        def thaw() -> None:
            for name, value in kept.items():
                self.client.restore(name, 0, value, replace=True)

        return thaw

    def listen(self, *rooms: str) -> Callable[[], bytes | None]:
        listener = self.client.pubsub()
        channels = [room_channel(self.settings.channel, room) for room in rooms]
        listener.subscribe(*channels)
        for _ in channels:
            assert listener.get_message(timeout=30)

        def heard() -> bytes | None:
            message = listener.get_message(timeout=0.1)
            return None if message is None else bytes(message["data"])

        return heard

    def senders(self, job: str) -> int:
        return int(self.client.hlen(self.names(job)[0]))


class MemoryGround:
    lease = ""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._links: list[Any] = []

    def close(self) -> None:
        for link in self._links:
            link.close()

    def journal(self) -> Journal:
        return MemoryJournal(self.settings, carrier_of(self.settings))

    def forget(self, job: str) -> None:
        MemoryJournal(self.settings).forget(job)

    def freeze(self, job: str) -> Callable[[], None]:
        entries = _shelves[self.settings.channel].entries
        kept = copy.deepcopy(entries[job])
        return lambda: entries.update({job: kept})

    def listen(self, *rooms: str) -> Callable[[], bytes | None]:
        link = line_of(self.settings, None).open()
        self._links.append(link)
        for room in rooms:
            link.subscribe(room_channel(self.settings.channel, room))
        heard: list[Any] = []

        def next_message() -> bytes | None:
            heard.extend(link.receive())
            return heard.pop(0)[1] if heard else None

        return next_message

    def senders(self, job: str) -> int:
        return len(_shelves[self.settings.channel].entries[job].told)


class BackendGround:
    """Celery's result backend, in a file.

    Args:
        live: whether the publisher runs the job; else all is written at once.
    """

    def __init__(self, settings: Settings, *, live: bool) -> None:
        self.settings = settings
        self.lease = "a-lease" if live else ""
        self.results = Results(settings.require_result_backend())
        self._memory = MemoryGround(settings)

    def journal(self) -> Journal:
        return open_journal(self.settings, carrier_of(self.settings))

    def forget(self, job: str) -> None:
        for part in ("bridge", "queued"):
            self.results.store(f"{job}~{part}", None, "FORGOTTEN")

    def freeze(self, job: str) -> Callable[[], None]:
        kept = self.results.meta(f"{job}~bridge")["result"]
        return lambda: self.results.store(f"{job}~bridge", kept, "BRIDGE")

    def listen(self, *rooms: str) -> Callable[[], bytes | None]:
        return self._memory.listen(*rooms)

    def senders(self, job: str) -> int:
        return 0

    def close(self) -> None:
        self._memory.close()


def fake(settings: Settings) -> RedisGround:
    return RedisGround(fakeredis.FakeRedis(), settings)
