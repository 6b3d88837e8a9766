"""Ways to use Celery, seen from a web node: workflows as they grow, and Django's set-up."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from celery import chain, chord, group

from bridge import submit
from bridge.tokens import Tokens
from tests.conftest import wait_until
from tests.examples.conftest import EXAMPLES, process
from tests.nodes import Client, Node, running
from tests.sender import bridged_tasks as tasks
from tests.sender.conftest import Jobs, jobs, prefork, running_worker, worker_environ

__all__ = ["jobs", "prefork", "worker_environ"]

pytestmark = [pytest.mark.e2e, pytest.mark.redis, pytest.mark.usefixtures("prefork")]


@pytest.fixture(scope="module")
def node(jobs: Jobs) -> Iterator[Node]:
    with running(jobs.settings) as made:
        yield made


@pytest.fixture
def client(node: Node) -> Iterator[Client]:
    made = Client(node.url)
    yield made
    made.close()


class Workflow:
    """What a client that watches a root was told of its jobs: the newest of each."""

    def __init__(self, client: Client, jobs: Jobs, root: str) -> None:
        token = Tokens(jobs.settings.require_secret(), seconds=60).issue(root=root)
        self._ack = client.ask("watch", {"root": root, "token": token})
        assert self._ack["ok"], self._ack
        self._client = client
        self._root = root

    def newest(self) -> dict[str, dict[str, Any]]:
        found = {job: told["snapshot"] for job, told in self._ack["jobs"].items()}
        for name, data in list(self._client.received):
            if name != "progress" or self._root not in (data["root"], data["job"]):
                continue
            if data["rev"] > found.get(data["job"], {"rev": 0})["rev"]:
                found[data["job"]] = data
        return found

    def wait(self, count: int) -> dict[str, dict[str, Any]]:
        """Wait until so many jobs have succeeded."""

        def ended() -> bool:
            states = [each["state"] for each in self.newest().values()]
            return states.count("SUCCESS") == count

        wait_until(ended, seconds=30, what=f"{count} jobs, not {self.newest()}")
        return self.newest()


def test_a_group_in_a_chain_is_watched_by_its_root(jobs: Jobs, client: Client) -> None:
    first = uuid.uuid4().hex
    flow = chain(
        tasks.count.si(5).set(task_id=first),
        group(tasks.count.si(6), tasks.count.si(7)),
        tasks.bare.si(),
    )
    flow.apply_async()
    found = Workflow(client, jobs, first).wait(4)
    assert sorted(each["current"] for each in found.values()) == [1, 5, 6, 7]
    others = [each for job, each in found.items() if job != first]
    assert {each["root"] for each in others} == {first}
    assert all(each["parent"] for each in others)
    assert found[first]["parent"] is None


def test_a_chord_is_watched_by_the_root_that_celery_gives_it(jobs: Jobs, client: Client) -> None:
    """Started by itself, each part of its header is a root; its body belongs to one of them."""
    first = uuid.uuid4().hex
    parts = [tasks.count.si(3), tasks.count.si(4)]
    flow = chain(tasks.count.si(2).set(task_id=first), chord(parts, tasks.bare.si()))
    flow.apply_async()
    found = Workflow(client, jobs, first).wait(4)
    assert {each["root"] for job, each in found.items() if job != first} == {first}

    alone = submit(chord(parts, tasks.bare.si()))
    root = jobs.wait_for(alone.id, "SUCCESS")["root"]
    assert alone.id in Workflow(client, jobs, root).wait(2)


@pytest.mark.parametrize("pool", ["gevent", "eventlet", "prefork"])
@pytest.mark.deployments
def test_pools_at_a_concurrency_of_eight(
    jobs: Jobs, client: Client, worker_environ: dict[str, str], pool: str
) -> None:
    queue = f"{jobs.settings.channel}-{pool}"
    with running_worker(worker_environ, "-P", pool, "-c", "8", "-Q", queue):
        started = [submit(tasks.count, [25], queue=queue) for _ in range(16)]
        again = submit(tasks.shared, [1], queue=queue)
        for job in started:
            ack = client.ask("watch", {"job": job.id, "token": job.token})
            assert ack["ok"]
            assert jobs.wait_for(job.id, "SUCCESS", seconds=40)["current"] == 25
            assert len(jobs.events(job.id)) == 3
        assert [run["state"] for run in jobs.wait_for(again.id, "SUCCESS")["runs"]] == [
            "RETRY", "SUCCESS",
        ]  # fmt: skip


def test_djangos_usual_set_up_of_a_worker(
    jobs: Jobs, node: Node, client: Client, worker_environ: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    """A shared_task in an installed app, found by autodiscovery; a setting from Django's."""
    names = ("BRIDGE_MESSAGE_QUEUE", "BRIDGE_CHANNEL", "BRIDGE_SECRET_KEY")
    environ = {name: worker_environ[name] for name in names}
    command = ("-m", "celery", "-A", "mysite", "worker", "-c", "1", "-l", "INFO")
    with process(tmp_path_factory.mktemp("mysite"), environ, *command) as log:
        wait_until(lambda: b" ready." in log.read_bytes(), seconds=40, what=f"worker: {log}")
        program = (
            "from mysite.tasks import import_rows; from bridge import submit;"
            "job = submit(import_rows, [12]); print(job.id, job.token)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=EXAMPLES, env={**os.environ, **environ},
            capture_output=True, text=True, timeout=50,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        job, token = done.stdout.split()
        ack = client.ask("watch", {"job": job, "token": token})
        assert ack["snapshot"]["task"] == "mysite.tasks.import_rows"
        snapshot = jobs.wait_for(job, "SUCCESS")
        assert (snapshot["current"], snapshot["unit"]) == (12, "rows")
