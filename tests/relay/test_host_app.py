"""The bridge in somebody's own app: its SocketIO goes on, and sids of its namespaces can join."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from bridge.rooms import relay_channel
from bridge.settings import Settings
from tests.conftest import wait_until
from tests.nodes import SECRET, Client, Node, Worker, holds_for


class HostNode(Node):
    def __init__(self, settings: Settings) -> None:
        super().__init__(
            settings, program=[sys.executable, str(Path(__file__).parent / "host_app.py")]
        )


@pytest.fixture(scope="module")
def host(shared_redis: object) -> Iterator[HostNode]:
    settings = Settings.load(
        {
            "message_queue": shared_redis.url,  # type: ignore[attr-defined]
            "channel": uuid.uuid4().hex,
            "secret_key": SECRET,
        },
        environ={},
    )
    node = HostNode(settings)
    yield node
    node.stop()


def join(worker: Worker, client: Client, job: str) -> None:
    """What `submit(sid=..., namespace=...)` publishes."""
    message = {"method": "join", "sid": client.sid, "namespace": client.namespace, "job": job}
    worker.redis.publish(relay_channel(worker.settings.channel), json.dumps(message))


def test_a_sid_of_the_hosts_namespace_gets_all_without_watching(host: HostNode, job: str) -> None:
    worker = Worker(host.settings)
    worker.state(job, "STARTED", current=0)
    for number in range(3):
        worker.event(job, data=number)
    worker.state(job, current=1)
    client, other = Client(host.url, "/"), Client(host.url, "/")

    join(worker, client, job)
    for number in range(2, 30):
        worker.event(job, data=number)
        worker.state(job, current=number)

    client.wait(29)
    assert client.seqs() == list(range(1, 32))
    assert client.currents() == sorted(set(client.currents()))
    assert {name for name, _ in client.received} == {"row", "progress"}
    assert not other.received
    client.close()
    other.close()


def test_joining_before_the_job_is_known(host: HostNode, job: str) -> None:
    worker, client = Worker(host.settings), Client(host.url, "/")

    join(worker, client, job)
    worker.state(job, "PENDING")

    wait_until(lambda: client.received)
    assert client.received[0][1]["state"] == "PENDING"
    client.close()


def test_a_foreign_or_unknown_sid_changes_nothing(host: HostNode, job: str) -> None:
    worker, client = Worker(host.settings), Client(host.url, "/")
    elsewhere = {"sid": client.sid, "namespace": "/bridge"}
    unknown = {"sid": "nobody", "namespace": "/"}

    for address in (elsewhere, unknown):
        message = {"method": "join", "job": job, **address}
        worker.redis.publish(relay_channel(worker.settings.channel), json.dumps(message))
    worker.state(job, "STARTED")

    assert holds_for(lambda: not client.received)
    client.close()


def test_leaving_the_namespace_ends_it(host: HostNode, job: str) -> None:
    worker = Worker(host.settings)
    client = Client(host.url, "/")
    join(worker, client, job)
    worker.state(job, "STARTED", current=0)
    client.wait(0)

    client.sio.disconnect()

    def receivers() -> int:
        return worker.state(job, current=1).receivers

    wait_until(lambda: receivers() == 0, what="the node to give up the room")


def test_the_hosts_own_socketio_and_pages_go_on(host: HostNode) -> None:
    client = Client(host.url, "/")

    assert client.ask("hello", {"a": 1}) == {"heard": {"a": 1}}
    wait_until(lambda: client.received)
    assert client.received == [("greeting", {"sid": client.sid, "namespace": "/"})]
    with urlopen(f"{host.url}/page") as page:
        assert page.read() == b"a page of the host's"
    with urlopen(f"{host.url}/readyz") as ready:
        assert json.load(ready)["ready"] is True
    client.close()


EMITTER = """
import os, sys
from flask_socketio import SocketIO
emitter = SocketIO(message_queue=os.environ["QUEUE"], channel=os.environ["CHANNEL"],
                   async_mode="threading")
emitter.emit("from_outside", {"n": 1}, to=sys.argv[1], namespace="/bridge")
"""


def emit_from_outside(worker: Worker, to: str) -> None:
    """A stock process that knows nothing of the bridge but the channel."""
    subprocess.run(
        [sys.executable, "-c", EMITTER, to], check=True, timeout=30,
        env={**os.environ, "QUEUE": worker.settings.message_queue,
             "CHANNEL": worker.settings.channel},
    )  # fmt: skip


def test_a_stock_process_emits_to_a_jobs_room_and_to_a_sid(
    worker: Worker, node: Node, job: str
) -> None:
    client, other = Client(node.url), Client(node.url)
    client.ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})

    emit_from_outside(worker, f"job:{job}")
    wait_until(lambda: client.received == [("from_outside", {"n": 1})])
    emit_from_outside(worker, other.sid)
    wait_until(lambda: other.received == [("from_outside", {"n": 1})])
    client.ask("unwatch", {"job": job})
    emit_from_outside(worker, f"job:{job}")

    assert holds_for(lambda: len(client.received) == 1)
    client.close()
    other.close()
