"""The figures for Prometheus, and who may read them."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from bridge import Bridge
from bridge.settings import Settings
from tests.conftest import RedisServer, wait_until
from tests.nodes import SECRET, Client, Node, Worker, running

KEY = "a key for who scrapes"


def figures(text: str) -> dict[str, float]:
    """Each sample by its name, with its labels' values."""
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def node(shared_settings: Settings) -> Iterator[Node]:
    """A node of its own, so that nobody else is counted."""
    with running(shared_settings) as made:
        yield made


def test_what_is_counted(node: Node, worker: Worker, job: str) -> None:
    def now() -> dict[str, float]:
        return figures(requests.get(f"{node.url}/metrics", timeout=30).text)

    wait_until(lambda: 0 <= now()["celery_bridge_queue_heard_seconds"] < 5)
    first = now()
    client = Client(node.url)
    assert client.ask("watch", {"job": job, "token": "forged"})["error"] == "forbidden"
    assert client.ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})["ok"]
    for number in range(3):
        worker.event(job, data=number)
    wait_until(lambda: client.seqs() == [1, 2, 3])
    then = now()
    client.close()

    assert first["celery_bridge_connections"] == 0
    assert then["celery_bridge_connections"] == then["celery_bridge_members"] == 1
    assert then["celery_bridge_rooms"] == 1
    assert then["celery_bridge_journal_reachable"] == 1
    assert then["celery_bridge_messages_delivered_total"] == 3
    assert then["celery_bridge_messages_dropped_total"] == 0
    assert then["celery_bridge_noted_total refused.forbidden"] == 1
    assert then["process_resident_memory_bytes"] > 0
    assert [name for name in then if name.startswith("celery_bridge_info")]
    wait_until(lambda: now()["celery_bridge_connections"] == 0)


def test_a_queue_that_is_away_is_told(own_redis: RedisServer) -> None:
    bridge = make(own_redis.url)
    web = bridge._app.test_client()
    wait_until(lambda: web.get("/readyz").status_code == 200)
    own_redis.stop()
    wait_until(lambda: figures(web.get("/metrics").text)["celery_bridge_journal_reachable"] == 0)
    bridge.stop()


def test_who_never_heard_anything_says_so() -> None:
    bridge = make("redis://127.0.0.1:1/0")
    found = figures(bridge._app.test_client().get("/metrics").text)
    assert math.isnan(found["celery_bridge_queue_heard_seconds"])
    bridge.stop()


def test_what_rabbitmq_did_not_take_is_counted(redis_url: str) -> None:
    bridge = make("amqp://127.0.0.1:1", journal=redis_url)
    web = bridge._app.test_client()

    def not_carried() -> float:
        return figures(web.get("/metrics").text)["celery_bridge_messages_not_carried_total"]

    assert not_carried() == 0
    assert bridge.relay is not None
    assert bridge.relay._carrier is not None
    bridge.relay._carrier.carry(["a-channel"], b"a verdict", keep=False)
    wait_until(not_carried)
    bridge.stop()


def make(url: str, **settings: object) -> Bridge:
    return Bridge(
        Flask(__name__), message_queue=url, channel=uuid.uuid4().hex, secret_key=SECRET,
        async_mode="threading", **settings,
    )  # fmt: skip


@pytest.fixture
def web(redis_url: str) -> Iterator[FlaskClient]:
    bridge = make(redis_url, trusted_proxies=1)
    yield bridge._app.test_client()
    bridge.stop()


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.7", {}, 403),
        # Through a proxy on this machine, from anywhere; or from somebody who claims to be here.
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 403),
        ("127.0.0.1", {"X-Real-IP": "127.0.0.1"}, 403),
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}, 403),
        ("127.0.0.1", {"Via": "1.1 proxy"}, 403),
    ],
)
def test_only_this_machine_may_read_them(
    web: FlaskClient, address: str, headers: dict[str, str], status: int
) -> None:
    answer = web.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == status
    assert answer.headers["Cache-Control"] == "no-store"
    if status == 403:
        assert answer.get_json()["error"] == "forbidden"


def test_with_a_key_it_alone_decides(redis_url: str) -> None:
    bridge = make(redis_url, metrics_key=[KEY, "an older key of ours"])
    web = bridge._app.test_client()
    for token, status in [
        (KEY, 200), ("an older key of ours", 200), (KEY + "x", 403), ("", 403), ("ü", 403),
    ]:  # fmt: skip
        headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "192.0.2.7"}
        assert web.get("/metrics", headers=headers).status_code == status, token
    assert web.get("/metrics").status_code == 403, "not even this machine"
    assert web.get(f"/metrics?token={KEY}").status_code == 403, "addresses are logged"
    assert KEY not in repr(bridge.settings)
    bridge.stop()
