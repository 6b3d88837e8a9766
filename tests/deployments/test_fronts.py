"""Nodes behind nginx: each variant that we ship, both transports, streams, and a node that dies."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, expect
from requests.adapters import HTTPAdapter

from bridge.cli.doctor_node import look_at
from bridge.settings import Settings
from tests.conftest import wait_until
from tests.deployments.fronts import Front, front
from tests.nodes import Client, Node, Worker, running, shared_settings, worker
from tests.sse import Listener

__all__ = ["shared_settings", "worker"]

pytestmark = [pytest.mark.e2e, pytest.mark.redis]
BEHIND = {"BRIDGE_TRUSTED_PROXIES": "1"}
#: The variant, and how many nodes are behind it.
ROWS = [("single", 1), ("ip-hash", 2), ("ip-hash", 3), ("cookie", 2), ("cookie", 3), ("prefix", 2),
        ("tls", 2)]  # fmt: skip
TRANSPORTS = ("websocket", "polling")


@pytest.fixture(scope="module")
def nodes(shared_settings: Settings) -> Iterator[list[Node]]:
    """Three nodes, one of each async mode."""
    modes = ("eventlet", "gevent", "threading")
    with (
        running(shared_settings, "--async-mode", modes[0], **BEHIND) as one,
        running(shared_settings, "--async-mode", modes[1], **BEHIND) as two,
        running(shared_settings, "--async-mode", modes[2], **BEHIND) as three,
    ):
        yield [one, two, three]


@pytest.fixture(scope="module", params=ROWS, ids=lambda row: f"{row[0]}-{row[1]}")
def before(
    request: pytest.FixtureRequest, nodes: list[Node], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    variant, count = request.param
    with front(variant, nodes[:count], tmp_path_factory) as made:
        yield made


@pytest.fixture
def job() -> str:
    return uuid.uuid4().hex


def connect(at: Front, transport: str) -> Client:
    """A client that comes through nginx."""
    options: dict[str, Any] = {"reconnection_delay": 0.1}
    if at.variant == "tls":
        options["http_session"] = session = requests.Session()
        session.trust_env, session.verify = False, str(at.folder / "site.crt")
    path = f"{at.path}/socket.io".removeprefix("/")
    return Client(at.url, transports=[transport], path=path, **options)


class _From(HTTPAdapter):
    """Sends from an address."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, source_address=(self._address, 0), **options)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_late_replay_and_live(before: Front, worker: Worker, job: str, transport: str) -> None:
    worker.state(job, "STARTED", current=1)
    worker.event(job)
    client = connect(before, transport)
    ack = client.ask("watch", {"job": job, "token": worker.tokens.issue(jobs=job)})
    assert ack["snapshot"]["current"] == 1
    assert [event["seq"] for event in ack["events"]] == [1]
    for number in range(2, 6):
        worker.event(job)
        worker.state(job, current=number)
        client.wait(number)
    assert client.seqs() == [2, 3, 4, 5]
    assert client.sio.transport() == transport
    client.close()


def test_streams_are_not_held_back(before: Front, worker: Worker, job: str) -> None:
    worker.state(job, "STARTED", current=1)
    token = worker.tokens.issue(jobs=job)
    url = f"{before.url}{before.path}/bridge/jobs/{job}/events?token={token}"
    listener = Listener(url, authority=before.folder / "site.crt")
    for number in range(1, 4):
        listener.wait(number)  # each of them, before the next is sent
        worker.state(job, current=number + 1)
    listener.close()
    wait_until(lambda: job in before.log)
    assert token not in before.log, "the log has no query strings"


def test_metrics_and_nothing_else_is_kept_back(before: Front) -> None:
    verify = str(before.folder / "site.crt") if before.variant == "tls" else True
    for path, status in (("/metrics", 403), ("/readyz", 200), ("/bridge/task-progress.js", 200)):
        answer = requests.get(before.url + before.path + path, timeout=10, verify=verify)
        assert answer.status_code == status, path


@pytest.mark.parametrize("variant", ["ip-hash", "cookie"])
def test_polls_come_to_one_node_and_clients_to_all(
    variant: str, nodes: list[Node], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with front(variant, nodes, tmp_path_factory) as at:
        for number in range(12):
            poll(at, f"127.0.{number}.1" if variant == "ip-hash" else None)
        reached = at.reached("/socket.io/")
    assert set(reached) == {node.url.removeprefix("http://") for node in nodes}


def poll(at: Front, address: str | None) -> None:
    """Connect by polling alone, perhaps from another address of this machine."""
    with requests.Session() as session:
        if address is not None:
            session.mount("http://", _From(address))
        url = f"{at.url}/socket.io/?EIO=4&transport=polling"
        opened = session.get(url, timeout=30).text
        url += "&sid=" + opened.partition('"sid":"')[2].partition('"')[0]
        assert session.post(url, data="40/bridge,", timeout=30).status_code == 200
        assert session.get(url, timeout=30).text.startswith("40/bridge,"), (
            "another node knows it not"
        )
        session.post(url, data="1", timeout=30)


@pytest.mark.parametrize(
    ("variant", "transport"),
    [
        ("ip-hash", "websocket"),
        ("cookie", "polling"),
        pytest.param("ip-hash", "polling", marks=pytest.mark.deployments),
        pytest.param("cookie", "websocket", marks=pytest.mark.deployments),
    ],
)
def test_a_node_dies_and_its_clients_go_on(
    variant: str, transport: str, shared_settings: Settings, worker: Worker, job: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    with (
        running(shared_settings, **BEHIND) as one,
        running(shared_settings, **BEHIND) as two,
        front(variant, [one, two], tmp_path_factory) as at,
    ):
        token = worker.tokens.issue(jobs=job)
        worker.state(job, "STARTED", current=1)
        client = connect(at, transport)
        client.ask("watch", {"job": job, "token": token})
        worker.event(job)
        wait_until(lambda: client.seqs() == [1])
        first, sid = at.reached("/socket.io/") or [requests_of(one, two)], client.sid
        victim = two if first[-1] == two.url.removeprefix("http://") else one
        victim.process.kill()
        worker.event(job)
        wait_until(lambda: client.sio.get_sid("/bridge") not in (None, sid), seconds=30)
        ack = client.ask("watch", {"job": job, "token": token, "since": 1})
        assert [event["seq"] for event in ack["events"]] == [2]
        worker.event(job)
        worker.state(job, "SUCCESS", current=2)
        client.wait(2)
        assert client.seqs() == [1, 3]
        client.close()


def requests_of(one: Node, two: Node) -> str:
    """Which of two nodes has the client: nginx logs a WebSocket only when it has ended."""
    text = requests.get(f"{two.url}/metrics", timeout=30).text
    return (two if "celery_bridge_connections 1.0" in text else one).url.removeprefix("http://")


@pytest.mark.parametrize(("variant", "sticky"), [("single", False), ("cookie", True)])
def test_the_doctor_tells_whether_it_is_sticky(
    variant: str, sticky: bool, nodes: list[Node], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with front(variant, nodes, tmp_path_factory) as at:
        findings = list(look_at(at.url))
    *others, last = findings
    assert all(each.good for each in others), findings
    assert last.good is sticky, findings
    assert findings[-1].fix.startswith("make the proxy sticky")


@pytest.mark.browser
@pytest.mark.parametrize("variant", ["prefix", "tls"])
def test_the_widget_behind_it(
    variant: str, nodes: list[Node], worker: Worker, job: str, chromium: Browser,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    worker.state(job, "STARTED", current=1, total=4)
    with front(variant, nodes[:2], tmp_path_factory) as at:
        context = chromium.new_context(ignore_https_errors=True, bypass_csp=True)
        page = context.new_page()
        page.goto(f"{at.url}{at.path}/healthz")
        page.evaluate(
            """async ([path, job, token]) => {
                await import(`${path}/bridge/task-progress.js`);
                const widget = document.createElement("task-progress");
                if (path) widget.setAttribute("url", path);
                widget.setAttribute("job", job);
                widget.setAttribute("token", token);
                document.body.append(widget);
            }""",
            [at.path, job, worker.tokens.issue(jobs=job)],
        )
        bar = page.locator("task-progress").get_by_role("progressbar")
        expect(bar).to_have_attribute("aria-valuenow", "25")
        worker.state(job, current=3, total=4)
        expect(bar).to_have_attribute("aria-valuenow", "75")
        context.close()
