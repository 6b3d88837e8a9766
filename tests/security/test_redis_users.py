"""The least rights of docs/security.md: all works with them, and what they lack is refused."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from bridge.relay.sweep import Sweep
from bridge.settings import Settings
from bridge.tokens import Tokens
from tests.conftest import missing, wait_until
from tests.nodes import SECRET, Client, Node, Worker
from tests.security.conftest import celery_worker
from tests.security.redis_users import GuardedRedis

CHANNEL = "celery-bridge"  # the default, for which the document's lines are written


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedRedis]:
    if shutil.which("redis-server") is None:
        missing("redis-server", "apt-get install redis-server")
    server = GuardedRedis(tmp_path_factory.mktemp("guarded"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def web(redis: GuardedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The demo's worker and web node, each process with its own users only."""
    folder = tmp_path_factory.mktemp("web")
    shared = {"BRIDGE_SECRET_KEY": SECRET, "DEMO_UPLOADS": str(folder), "BRIDGE_LEASE": "1"}
    of_worker = {
        "BRIDGE_MESSAGE_QUEUE": redis.url_of("bridge-worker"),
        "CELERY_BROKER_URL": redis.url_of("celery-worker"),
        "CELERY_RESULT_BACKEND": redis.url_of("celery-worker"),
    }
    settings = Settings.load({"message_queue": redis.url_of("bridge-node")}, environ={})
    with celery_worker(folder / "worker.log", {**shared, **of_worker}):
        node = Node(
            settings, program=(sys.executable, "-m", "web"),
            CELERY_BROKER_URL=redis.url_of("celery-sender"), **shared,
        )  # fmt: skip
        yield node
        node.stop()


def start(web: Node, **fields: Any) -> dict[str, str]:
    answer = requests.post(f"{web.url}/demo/jobs/metronome", json=fields, timeout=30)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_everything_works_with_the_least_rights(redis: GuardedRedis, web: Node) -> None:
    redis.forget_refusals()
    watcher, late = Client(web.url), Client(web.url)
    tokens = Tokens([SECRET], seconds=60)

    started = start(web, steps=3, interval=0.1)
    assert watcher.ask("watch", started)["ok"]
    wait_until(lambda: "SUCCESS" in states(watcher, started["job"]), what="the end of the job")
    ack = late.ask("watch", {**started, "since": 0})
    assert ack["snapshot"]["state"] == "SUCCESS"
    assert [event["seq"] for event in ack["events"]] == [1, 2, 3]

    endless = start(web, steps=5000, interval=0.1)
    allowed = tokens.issue(jobs=endless["job"], actions=("watch", "cancel"))
    assert watcher.ask("watch", endless)["ok"]
    wait_until(lambda: "PROGRESS" in states(watcher, endless["job"]), what="a step")
    assert watcher.ask("cancel", {"job": endless["job"], "token": allowed}) == {"ok": True}
    wait_until(lambda: "REVOKED" in states(watcher, endless["job"]), what="the cancellation")

    assert requests.get(f"{web.url}/readyz", timeout=30).json()["ready"] is True
    watcher.close()
    late.close()
    assert redis.refusals() == []


def test_a_node_may_sweep(redis: GuardedRedis) -> None:
    of_worker, of_node = (
        Settings.load(
            {"message_queue": redis.url_of(user), "secret_key": SECRET, "lease": 1}, environ={}
        )
        for user in ("bridge-worker", "bridge-node")
    )
    worker = Worker(of_worker)
    died = worker.state_publication("died", "STARTED", root="a-root", user="a-user")
    died.lease = "a-lease-that-nobody-holds"
    worker.journal.renew(["another"], 1)
    worker.journal.publish([died])
    redis.forget_refusals()

    clock = itertools.count(step=10)
    relay = SimpleNamespace(followed=dict)
    sweep = Sweep(of_node, relay, clock=lambda: float(next(clock)))  # type: ignore[arg-type]
    node = Worker(of_node)

    ((job,),) = [node.journal.list_jobs("root:a-root", 10).jobs]

    def judged() -> bool:
        sweep.sweep()  # unless it is the turn of the web node, which has the same rights
        (reading,) = node.journal.read([(job, 0)])
        assert reading.snapshot is not None
        return reading.snapshot["state"] in ("LOST", "FAILURE")

    wait_until(judged, what="the verdict of a sweep")
    assert node.journal.cancel(job) in ("ok", "finished")
    assert redis.refusals() == []


def states(client: Client, job: str) -> list[str]:
    received = list(client.received)
    return [data["state"] for name, data in received if name == "progress" and data["job"] == job]


STATE = f"{CHANNEL}:{{a}}:state"
EVENTS = f"{CHANNEL}:{{a}}:events"
JOB = f"{CHANNEL}/job:{{a}}"
META = "celery-task-meta-a"
#: What each user may not, a command a line.
REFUSED = {
    # writes, and learns nothing but what writing needs
    "bridge-worker": [
        f"SUBSCRIBE {JOB}", f"SUBSCRIBE {CHANNEL}", f"PSUBSCRIBE {CHANNEL}/*", f"HGETALL {STATE}",
        f"XRANGE {EVENTS} - +", f"XREVRANGE {EVENTS} + -", f"DEL {STATE}", f"GET {META}",
        f"ZRANGE {CHANNEL}:running 0 -1", "PUBLISH another a", "HSET another a b",
        "LPUSH workers a", "BRPOP workers 1", "EVAL return(1) 0",
    ],
    # reads and listens; of a job it writes states only, never events
    "bridge-node": [
        f"XADD {EVENTS} * a b", f"HGETALL {STATE}", "PSUBSCRIBE *", f"PSUBSCRIBE {CHANNEL}/*",
        "SUBSCRIBE another", "PUBLISH another a", "HSET another a b", "GET another",
        "LPUSH workers a", "RPOP workers", f"GET {META}", "EVAL return(1) 0",
    ],
    "celery-worker": [
        f"HMGET {STATE} rev", f"HSET {STATE} rev 1", f"PUBLISH {JOB} a", f"SUBSCRIBE {JOB}",
        f"PUBLISH {CHANNEL} a", f"SET {CHANNEL}:lease:a 1", "PSUBSCRIBE *", "SET another a",
    ],
    # puts tasks into the queue and sees neither tasks nor results
    "celery-sender": [
        "RPOP workers", "BRPOP workers 1", "LRANGE workers 0 -1", f"GET {META}", "DEL workers",
        f"HMGET {STATE} rev", f"PUBLISH {JOB} a", f"SUBSCRIBE {JOB}", "HGET unacked a",
        "LPUSH another a", "EVALSHA 0 0",
    ],
}  # fmt: skip
REFUSED_TO_ALL = (
    "KEYS *",
    "SCAN 0",
    "FLUSHALL",
    "CONFIG GET *",
    "ACL LIST",
    "MONITOR",
    "CLIENT LIST",
)


@pytest.mark.parametrize("user", REFUSED)
def test_what_a_user_does_not_need_is_refused(redis: GuardedRedis, user: str) -> None:
    allowed = []
    with redis.client_of(user) as client:
        assert client.ping()
        for command in (*REFUSED[user], *REFUSED_TO_ALL):
            try:
                client.execute_command(*command.split())
            except NoPermissionError:
                continue
            allowed.append(command)
    assert allowed == []


@pytest.mark.parametrize("user", ["bridge-worker", "bridge-node"])
def test_a_script_gets_no_further_than_its_user(redis: GuardedRedis, user: str) -> None:
    foreign = "return redis.call('HSET', 'another', 'a', 'b')"
    flushing = "return redis.call('FLUSHALL')"
    with redis.client_of(user) as client:
        for script in (foreign, flushing):
            with pytest.raises(ResponseError, match=r"can't|permission"):
                client.evalsha(client.script_load(script), 0)
    with redis.client as admin:
        assert not admin.exists("another")


def test_nobody_gets_in_without_a_password(redis: GuardedRedis) -> None:
    for url in (
        f"redis://127.0.0.1:{redis.port}",
        f"redis://bridge-node:wrong@127.0.0.1:{redis.port}",
    ):
        client = type(redis.client).from_url(url)
        with client, pytest.raises(AuthenticationError):
            client.ping()
