"""Does a part of the demo do its work already? One question for each of them."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError

from bridge.journal.server import connect

REPLY_SECONDS = 2.0


def redis_answers(url: str) -> bool:
    """Tell whether the Redis server behind a URL answers a PING."""
    try:
        with connect(url) as client:
            return bool(client.ping())
    except (RedisError, OSError):
        return False


def worker_answers(url: str, name: str) -> Callable[[], bool]:
    """Return a question: does the Celery worker of this name answer a ping?

    Args:
        url: the broker.
        name: the worker's node name.
    """
    from celery import Celery
    from kombu.exceptions import OperationalError

    app: Any = Celery("demo", broker=url, set_as_current=False)

    def ask() -> bool:
        try:
            return bool(app.control.ping(destination=[name], timeout=REPLY_SECONDS, limit=1))
        except (OperationalError, RedisError, OSError):
            return False

    return ask


def web_answers(host: str, port: int) -> Callable[[], bool]:
    """Return a question: does the web node say that it is ready?

    Args:
        host: where it listens.
        port: where it listens.
    """

    def ask() -> bool:
        connection = http.client.HTTPConnection(host, port, timeout=REPLY_SECONDS)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ask
