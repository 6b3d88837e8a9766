"""One connection to RabbitMQ, used by one thread: opened with time limits, kept alive, watched."""

from __future__ import annotations

import contextlib
import ssl
import uuid
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from kombu import Connection, Exchange, Queue
from kombu.exceptions import KombuError
from kombu.transport.pyamqp import Transport

#: Twice, because kombu tries twice.
CONNECT_SECONDS: Final = 1.0
#: How long one answer, or one write, may take.
REPLY_SECONDS: Final = 2.0
HEARTBEAT_SECONDS: Final = 10
#: Beyond so many messages or bytes that a node did not take yet, the oldest are dropped.
QUEUE_MESSAGES: Final = 10_000
QUEUE_BYTES: Final = 67_108_864

#: What the broker, the wire and the library may raise.
ERRORS: Final[tuple[type[Exception], ...]] = (
    *Transport.connection_errors,
    *Transport.channel_errors,
    KombuError,
    OSError,
)
_SSL: Final = {"ssl_ca_certs": "ca_certs", "ssl_certfile": "certfile", "ssl_keyfile": "keyfile"}


class Link:
    """A connection with one channel.

    Args:
        url: ``amqp://`` or ``amqps://``, as kombu takes it; for TLS with ``?ssl_ca_certs=``,
            ``ssl_certfile=``, ``ssl_keyfile=`` and ``ssl_cert_reqs=none``, as redis-py takes them.

    Raises:
        Exception: one of `ERRORS`.
    """

    def __init__(self, url: str) -> None:
        #: Whether the broker reads nothing from us, because it is short of memory or disk.
        self.blocked = False
        self._connection = Connection(
            url.partition("?")[0],
            ssl=_tls(url),
            connect_timeout=CONNECT_SECONDS,
            heartbeat=HEARTBEAT_SECONDS,
            transport_options={
                "on_blocked": lambda _reason: setattr(self, "blocked", True),
                "on_unblocked": lambda: setattr(self, "blocked", False),
            },
        )
        try:
            self._connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
            self._amqp: Any = self._connection.connection
            self.socket: Any = self._amqp.sock
            # Of the whole socket: else a write to a broker that reads no more would never end.
            self.socket.settimeout(REPLY_SECONDS)
            self.channel: Any = self._connection.channel()
        except BaseException:
            self.close()
            raise

    def declare(self, exchange: Exchange) -> None:
        """Make sure that an exchange is there."""
        exchange(self.channel).declare()

    def listen(
        self, exchange: Exchange, hear: Callable[[Any], object], routing_key: str = ""
    ) -> Any:
        """Hear an exchange by a bounded queue of our own; returns that queue.

        Args:
            exchange: it is declared; hear: gets each message, inside of `take` and of whatever
                else waits for the broker.
            routing_key: what is heard first.
        """
        queue: Any = Queue(
            f"celery-bridge.{uuid.uuid4().hex}",
            exchange,
            routing_key,
            durable=False,
            exclusive=True,
            auto_delete=True,
            max_length=QUEUE_MESSAGES,
            max_length_bytes=QUEUE_BYTES,
        )(self.channel)
        queue.declare()
        queue.consume(callback=hear, no_ack=True)
        return queue

    def take(self, seconds: float) -> bool:
        """Take what comes; returns whether anything did within that time."""
        try:
            self._amqp.drain_events(timeout=seconds)
        except TimeoutError:
            return False
        return True

    def pending(self) -> bool:
        """Whether bytes wait that a select on the socket would not tell of."""
        return bool(self._amqp.transport._read_buffer) or bool(
            getattr(self.socket, "pending", bool)()
        )

    def keep_alive(self) -> None:
        """Send a heartbeat if it is time; to be called every second or two.

        Raises:
            Exception: one of `ERRORS`: the broker is silent.
        """
        self._connection.heartbeat_check(rate=4)

    def server(self) -> dict[str, Any]:
        """What the broker says of itself, such as ``version``."""
        return dict(self._amqp.server_properties)

    def close(self) -> None:
        """Close it, without waiting for an answer."""
        with contextlib.suppress(*ERRORS, AttributeError):
            self._connection.collect(socket_timeout=0.1)


def body_of(message: Any) -> bytes:
    """Return what a message of the broker holds."""
    body = message.body
    return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)


def destinations(message: Any) -> list[str]:
    """Return the routing keys that a message was sent to, each once."""
    copies = (message.properties.get("application_headers") or {}).get("CC")
    keys = [message.delivery_info["routing_key"]]
    if isinstance(copies, list):
        keys += [key for key in copies if isinstance(key, str)]
    return list(dict.fromkeys(keys))


def _tls(url: str) -> dict[str, Any] | bool:
    parts = urlsplit(url)
    if parts.scheme != "amqps":
        return False
    given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    options: dict[str, Any] = {_SSL[name]: given[name] for name in _SSL if name in given}
    if given.get("ssl_cert_reqs", "").lower() == "none":
        return {**options, "cert_reqs": ssl.CERT_NONE}
    return {**options, "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": parts.hostname}
