"""What a node counts and holds, for Prometheus; and who may read it."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from bridge.errors import Forbidden, QueueUnavailable
from bridge.relay.caller import Caller, is_this_machine
from bridge.relay.gate import Gate
from bridge.relay.relay import Relay
from bridge.relay.streams import Streams
from bridge.version import VERSION

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_FORBIDDEN_MESSAGE: Final = (
    "metrics are for this machine: read them there, or set BRIDGE_METRICS_KEY and send it as "
    "`Authorization: Bearer`"
)
#: What a proxy adds: the request may then come from anywhere, though the proxy is on this machine.
_OF_PROXIES: Final = ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_VIA")


def check_reader(caller: Caller, keys: tuple[str, ...], given: str | None) -> None:
    """Let through who has the key, or sits on this machine where no key is set.

    Raises:
        Forbidden: it is somebody else.
    """
    if keys:
        sent = (given or "").encode("utf-8", "replace")
        if not any(hmac.compare_digest(sent, key.encode()) for key in keys):
            raise Forbidden(_FORBIDDEN_MESSAGE)
    elif any(name in caller.environ for name in _OF_PROXIES) or not is_this_machine(caller.address):
        raise Forbidden(_FORBIDDEN_MESSAGE)


@dataclass(frozen=True)
class Metrics:
    """The figures of one process.

    Attributes:
        relay, gate, streams: where they are held.
        mode: gives the server's async mode.
    """

    relay: Relay
    gate: Gate
    streams: Streams
    mode: Callable[[], str]

    def text(self) -> bytes:
        """Return them in Prometheus' text format."""
        # Only now: what never is scraped need not load it.
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        registry = CollectorRegistry()
        registry.register(self)  # type: ignore[arg-type]  # it has what a collector needs
        ProcessCollector(registry=registry)
        return bytes(generate_latest(registry))

    def collect(self) -> Iterator[object]:
        """Yield the figures, as `prometheus_client` asks for them."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            InfoMetricFamily,
        )

        yield InfoMetricFamily(
            "celery_bridge", "The node.", {"version": VERSION, "mode": self.mode()}
        )
        for name, help, value in self._gauges():
            yield GaugeMetricFamily(f"celery_bridge_{name}", help, value)
        delivered, left_out = self.relay.deliveries
        yield CounterMetricFamily(
            "celery_bridge_messages_delivered",
            "Messages of jobs that were handed to clients' connections.",
            delivered,
        )
        yield CounterMetricFamily(
            "celery_bridge_messages_dropped",
            "Messages left out because a client was slow; it is told the newest state later.",
            left_out,
        )
        yield CounterMetricFamily(
            "celery_bridge_messages_not_carried",
            "Messages that RabbitMQ did not take from this node; clients get them by the sweep.",
            self.relay.not_carried,
        )
        noted = CounterMetricFamily(
            "celery_bridge_noted",
            "Refusals, limits that were hit, malformed messages: by the names in docs/security.md.",
            labels=["what"],
        )
        for what, count in sorted(self.relay.counters.as_dict().items()):
            noted.add_metric([what], count)
        yield noted

    def _gauges(self) -> Iterator[tuple[str, str, float]]:
        members = self.relay.members
        yield "connections", "Connections of Socket.IO, and streams.", len(self.gate)
        yield "streams", "Streams of server-sent events that are open.", len(self.streams)
        yield "members", "Clients in the bridge's namespace, and streams.", len(members)
        yield "rooms", "Jobs, roots and users that somebody here watches.", len(members.rooms())
        heard = self.relay.heard_seconds
        yield (
            "queue_heard_seconds",
            "How long ago this node heard itself through the message queue; NaN: never.",
            float("nan") if heard is None else heard,
        )
        yield "journal_reachable", "Whether the journal answers: 1 or 0.", self._journal_answers()

    def _journal_answers(self) -> int:
        try:
            self.relay.reader.ping()
        except QueueUnavailable:
            return 0
        return 1
