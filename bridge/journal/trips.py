"""Round trips: many commands sent at once, their replies read in order.

redis-py's pipelines and its pool of connections take longer than the server does for the one script
that a publish is. Here a connection is kept, by whoever comes first; others take one of the pool.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import hiredis
from redis import Redis
from redis.exceptions import RedisError, ResponseError

Command = tuple[Any, ...]


class Trips:
    """Makes round trips to a server.

    Args:
        client: a connection made by `bridge.journal.connect`.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._kept: Any = None
        self._process = 0

    def make(self, commands: Sequence[Command]) -> list[Any]:
        """Return the replies; a refusal of the server is one, as an exception.

        Raises:
            RedisError, OSError: it is not known what arrived.
        """
        if self._lock.acquire(blocking=False):
            try:
                return _converse(self._own(), commands)
            finally:
                self._lock.release()
        pool: Any = self._client.connection_pool
        connection = pool.get_connection()
        try:
            return _converse(connection, commands)
        finally:
            pool.release(connection)

    def _own(self) -> Any:
        if self._kept is None or self._process != os.getpid():
            # After a fork the old one is the parent's.
            self._process = os.getpid()
            pool: Any = self._client.connection_pool
            # Not by the pool, which counts what it makes and refuses the hundredth.
            self._kept = pool.connection_class(**pool.connection_kwargs)
        self._kept.connect()
        if not _is_quiet(self._kept):
            self._kept.disconnect()
            self._kept.connect()
        return self._kept


def _is_quiet(connection: Any) -> bool:
    """Whether the server has neither closed a connection, nor said what nobody asked."""
    try:
        return not connection.can_read()
    except (RedisError, OSError):
        return False


def _converse(connection: Any, commands: Sequence[Command]) -> list[Any]:
    try:
        connection.send_packed_command([hiredis.pack_command(each) for each in commands])
        return [_reply(connection) for _ in commands]
    except BaseException:
        connection.disconnect()  # replies may be on their way still
        raise


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
