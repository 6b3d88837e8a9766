"""The queue goes away and comes back: every watcher is current again, on the same connection."""

from __future__ import annotations

import uuid

from bridge.settings import Settings
from tests.conftest import RedisServer, wait_until
from tests.nodes import SECRET, Client, Worker, running


def settings_of(server: RedisServer) -> Settings:
    return Settings.load(
        {"message_queue": server.url, "channel": uuid.uuid4().hex, "secret_key": SECRET}, environ={}
    )


def test_watchers_are_resynced_after_a_restart_without_reconnecting(own_redis: RedisServer) -> None:
    settings = settings_of(own_redis)
    worker, job = Worker(settings), "resynced"
    worker.state(job, "STARTED", current=0)
    with running(settings) as node:
        client = Client(node.url)
        client.ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})
        sid = client.sid
        own_redis.stop()
        wait_until(lambda: any("no connection" in line for line in node.log))
        own_redis.start()

        # Whatever is published before the node is back is in the journal only.
        worker.state(job, "STARTED", current=1)
        worker.event(job, data="missed")
        worker.state(job, current=2)

        client.wait(2)
        worker.state(job, current=3)
        client.wait(3)
        assert client.currents() == sorted(set(client.currents()))
        assert client.seqs() == [1]
        assert client.sid == sid
        client.close()


def test_a_cut_connection_loses_no_event(own_redis: RedisServer) -> None:
    settings = settings_of(own_redis)
    worker, job = Worker(settings), "cut"
    worker.state(job, "STARTED", current=0)
    with running(settings) as node:
        client = Client(node.url)
        client.ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})
        count = 300

        for number in range(1, count + 1):
            worker.event(job, data=number)
            if number % 50 == 0:
                own_redis.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        worker.state(job, "SUCCESS", current=count)

        client.wait(count)
        wait_until(lambda: len(client.seqs()) >= count)
        assert client.seqs() == list(range(1, count + 1))
        client.close()


def test_jobs_of_a_user_that_began_meanwhile_are_found(own_redis: RedisServer) -> None:
    settings = settings_of(own_redis)
    worker = Worker(settings)
    worker.state("known", "STARTED", user="anna", current=0)
    with running(settings) as node:
        client = Client(node.url)
        client.ask("watch", {"user": "anna", "token": worker.tokens.issue(user="anna")})
        own_redis.stop()
        wait_until(lambda: any("no connection" in line for line in node.log))
        own_redis.start()
        worker.state("known", "STARTED", user="anna", current=1)
        worker.state("new", "STARTED", user="anna", current=2)

        client.wait(2)
        client.wait(1)
        worker.state("new", user="anna", current=3)
        client.wait(3)
        client.close()


def test_watching_while_the_queue_is_away_is_unavailable_then_works(own_redis: RedisServer) -> None:
    settings = settings_of(own_redis)
    worker = Worker(settings)
    token = worker.tokens.issue(jobs="job")
    with running(settings) as node:
        client = Client(node.url)
        own_redis.stop()

        answer = client.ask("watch", {"job": "job", "token": token})
        assert answer["error"] == "unavailable"
        assert client.ask("watch", {"job": "job", "token": "forged"})["error"] == "forbidden"

        own_redis.start()
        wait_until(lambda: client.ask("watch", {"job": "job", "token": token})["ok"], seconds=5)
        worker.state("job", "STARTED", current=1)
        client.wait(1)
        client.close()
