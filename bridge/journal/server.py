"""Connections to the Redis or Valkey server behind a URL, with explicit time limits.

redis-py's own defaults (5 s socket timeout, ten retries) are replaced: a publisher gives up soon
and its outbox retries; a subscriber waits for ever and notices a dead peer by keepalive.
"""

from __future__ import annotations

import socket
from typing import Any, Final

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

CONNECT_SECONDS: Final = 2.0
REPLY_SECONDS: Final = 2.0
HEALTH_CHECK_SECONDS: Final = 15
_VALKEY: Final = {"valkey": "redis", "valkeys": "rediss", "valkey+sentinel": "redis+sentinel"}
_KEEPALIVE: Final = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}


def connect(url: str, *, subscriber: bool = False) -> Redis:
    """Return a client for a URL; it connects with its first command.

    Args:
        url: ``redis://``, ``rediss://``, ``valkey://``, ``valkeys://``, ``unix://`` or
            ``redis+sentinel://[:password@]host:port[,host:port...]/db/service``.
        subscriber: True for a connection that listens: no limit on the wait for a message.
    """
    given, _, rest = url.partition("://")
    scheme = _VALKEY.get(given, given)
    options: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": None if subscriber else REPLY_SECONDS,
        "health_check_interval": HEALTH_CHECK_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    if scheme != "unix":
        options |= {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}
    if scheme == "rediss" and "ssl_cert_reqs=none" not in rest.lower():
        options["ssl_check_hostname"] = True  # redis-py's default only since version 6
    if scheme == "redis+sentinel":
        return _by_sentinel(f"{scheme}://{rest}", options)
    return Redis.from_url(f"{scheme}://{rest}", **options)


def _by_sentinel(url: str, options: dict[str, Any]) -> Redis:
    from socketio.redis_manager import parse_redis_sentinel_url

    sentinels, service, found = parse_redis_sentinel_url(url)
    sentinel: Any = Sentinel(sentinels, sentinel_kwargs=options, **{**options, **found})  # type: ignore[no-untyped-call]
    master: Redis = sentinel.master_for(service or "mymaster")
    return master
