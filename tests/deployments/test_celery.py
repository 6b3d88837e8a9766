"""Ways to use Celery, seen from a web node: workflows as they grow, and Django's set-up."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import chain, chord, group
from playwright.sync_api import Browser, expect

from bridge import submit
from bridge.tokens import Tokens
from tests.conftest import wait_until
from tests.examples.conftest import EXAMPLES, process
from tests.nodes import Client, Node, running
from tests.sender import bridged_tasks as tasks
from tests.sender.conftest import Jobs, jobs, prefork, worker_environ

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

    def __init__(self, client: Client, root: str, token: str | None) -> None:
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
    token = Tokens(jobs.settings.require_secret(), seconds=60).issue(root=first)
    found = Workflow(client, first, token).wait(4)
    assert sorted(each["current"] for each in found.values()) == [1, 5, 6, 7]
    others = [each for job, each in found.items() if job != first]
    assert {each["root"] for each in others} == {first}
    assert all(each["parent"] for each in others)
    assert found[first]["parent"] is None


WORKFLOWS: dict[str, Callable[[], Any]] = {
    "chain": lambda: chain(tasks.count.si(1), tasks.count.si(2)),
    "group": lambda: group(tasks.count.si(1), tasks.count.si(2)),
    "chord": lambda: chord([tasks.count.si(1), tasks.count.si(2)], tasks.count.si(3)),
    "chain that ends in a group": lambda: chain(
        tasks.count.si(1), group(tasks.count.si(2), tasks.count.si(3))
    ),
    "chord with chains in it": lambda: chord(
        [tasks.count.si(1), chain(tasks.count.si(2), tasks.count.si(3))],
        chain(tasks.count.si(4), tasks.count.si(5)),
    ),
}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_is_watched_by_what_submit_returns(
    jobs: Jobs, client: Client, name: str
) -> None:
    """One root for all of it, which is the job's id; a group has no job but its parts."""
    whole = submit(WORKFLOWS[name](), user="ann")
    workflow = Workflow(client, whole.id, whole.token)
    count = {"chain": 2, "group": 2, "chord": 3, "chain that ends in a group": 3}.get(name, 5)
    found = workflow.wait(count)
    assert sorted(each["current"] for each in found.values()) == list(range(1, count + 1))
    assert {(each["root"], each["user"]) for each in found.values()} == {(whole.id, "ann")}
    if "group" in name:
        assert whole.id not in found
        return
    assert found[whole.id]["current"] == count, "the job is what ends the whole"
    assert found[whole.id]["parent"] in found
    ack = client.ask("watch", {"job": whole.id, "token": whole.token})
    assert ack["snapshot"]["state"] == "SUCCESS"


@pytest.mark.browser
def test_both_widgets_show_a_group(jobs: Jobs, node: Node, chromium: Browser) -> None:
    """Which has no job of its own: all that is to be seen are its parts."""
    whole = submit(group(tasks.count.si(6), tasks.work.si(60)))
    context = chromium.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(f"{node.url}/healthz")
    page.evaluate(
        """async ([root, token]) => {
            await import("/bridge/task-progress.js");
            for (const name of ["task-progress", "task-list"]) {
                const widget = document.createElement(name);
                widget.setAttribute("root", root);
                widget.setAttribute("token", token);
                document.body.append(widget);
            }
        }""",
        [whole.id, whole.token],
    )
    bar = page.locator("task-progress").get_by_role("progressbar")
    rows = page.locator("task-list").get_by_role("row")
    expect(rows.filter(has_text="count")).to_have_count(1, timeout=20_000)
    expect(rows.filter(has_text="work")).to_have_count(1, timeout=20_000)
    expect(bar).to_have_attribute("aria-valuenow", "50", timeout=20_000)
    for part in jobs.journal.list_jobs(f"root:{whole.id}", 10).jobs:
        jobs.journal.cancel(part)
    expect(page.locator("task-progress")).to_contain_text(
        "cancelled", ignore_case=True, timeout=20_000
    )
    context.close()


def test_djangos_usual_set_up_of_a_worker(
    jobs: Jobs, node: Node, client: Client, worker_environ: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    """A shared_task in an installed app, found by autodiscovery; a setting from Django's."""
    names = ("BRIDGE_MESSAGE_QUEUE", "BRIDGE_CHANNEL", "BRIDGE_SECRET_KEY")
    environ = {name: worker_environ[name] for name in names}
    command = ("-m", "celery", "-A", "mysite", "worker", "-c", "1", "-l", "INFO")
    with process(tmp_path_factory.mktemp("mysite"), environ, *command) as log:
        wait_until(lambda: b" ready." in log.read_bytes(), seconds=90, what=f"worker: {log}")
        program = (
            "from mysite.tasks import import_rows; from bridge import submit;"
            "job = submit(import_rows, [12]); print(job.id, job.token)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=EXAMPLES, env={**os.environ, **environ},
            capture_output=True, text=True, timeout=90,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        job, token = done.stdout.split()
        ack = client.ask("watch", {"job": job, "token": token})
        assert ack["snapshot"]["task"] == "mysite.tasks.import_rows"
        snapshot = jobs.wait_for(job, "SUCCESS")
        assert (snapshot["current"], snapshot["unit"]) == (12, "rows")
