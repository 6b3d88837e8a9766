"""The apps of docs/examples: each a process of its own, watched by a browser and by strangers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import requests
import socketio
from playwright.sync_api import Browser, Page, expect

from tests.conftest import free_port, wait_until
from tests.examples.conftest import Stage
from tests.nodes import Client, Node

pytestmark = [pytest.mark.e2e, pytest.mark.redis, pytest.mark.browser]


@pytest.fixture(scope="module")
def flask_app(stage: Stage) -> Iterator[str]:
    port = free_port()
    with stage.app("flask_login_app.py", port=port, BRIDGE_PORT=str(port)) as url:
        yield url


@pytest.fixture(scope="module", params=["django", "fastapi"])
def token_app(request: pytest.FixtureRequest, stage: Stage) -> Iterator[tuple[str, Node]]:
    """The address of an app that gives tokens, and the bare node beside it."""
    port = free_port()
    commands: dict[str, Sequence[str]] = {
        "django": ("django_app.py", "runserver", "--noreload", str(port)),
        "fastapi": ("-m", "uvicorn", "fastapi_app:app", "--port", str(port)),
    }
    node = Node(stage.settings, BRIDGE_CORS_ORIGINS=f"http://127.0.0.1:{port}")
    with stage.app(*commands[request.param], port=port, NODE_URL=node.url) as url:
        yield url, node
    node.stop()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(locale="en-US")
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()


def log_in(page: Page, url: str, name: str) -> None:
    page.goto(f"{url}/login")
    page.fill("[name=name]", name)
    page.fill("[name=password]", f"{name}'s password")
    page.click("button")


def start_and_watch(page: Page) -> str:
    """Start a job on the page that is open and see it through; returns its id."""
    page.click("text=Start")
    page.wait_for_url("**/jobs/*")
    expect(page.locator("task-progress")).to_contain_text("20 of 20 sheep", timeout=15_000)
    return page.url.rpartition("/")[2]


def test_flask_login_shows_a_job_to_its_owner_only(
    flask_app: str, page: Page, chromium: Browser
) -> None:
    log_in(page, flask_app, "ann")
    job = start_and_watch(page)

    others = chromium.new_context(locale="en-US")
    theirs = others.new_page()
    log_in(theirs, flask_app, "bob")
    theirs.goto(f"{flask_app}/jobs/{job}")
    refusal = theirs.locator("task-progress")
    expect(refusal).to_contain_text("permission", ignore_case=True, timeout=15_000)
    expect(refusal).not_to_contain_text("sheep")
    others.close()

    stranger = Client(flask_app)
    assert stranger.ask("watch", {"job": job})["error"] == "forbidden"
    assert stranger.ask("watch", {"user": "ann"})["error"] == "forbidden"
    stranger.close()


def test_flask_logins_cookie_does_not_decide_for_another_site(flask_app: str) -> None:
    session = requests.Session()
    form = {"name": "ann", "password": "ann's password"}
    session.post(f"{flask_app}/login", data=form, timeout=30)
    job = session.post(f"{flask_app}/jobs", timeout=30).url.rpartition("/")[2]
    assert session.get(f"{flask_app}/bridge/jobs/{job}", timeout=30).json()["ok"]
    elsewhere = {"Origin": "https://evil.example"}
    answer = session.get(f"{flask_app}/bridge/jobs/{job}", headers=elsewhere, timeout=30)
    assert answer.json()["error"] == "forbidden"
    cookie = "; ".join(f"{c.name}={c.value}" for c in session.cookies)
    with pytest.raises(socketio.exceptions.ConnectionError):
        connected(flask_app, {"Cookie": cookie, **elsewhere})


def connected(url: str, headers: dict[str, str], namespace: str = "/bridge") -> socketio.Client:
    client = socketio.Client(handle_sigint=False, reconnection=False)
    client.connect(
        url, headers=headers, namespaces=[namespace], transports=["websocket"], wait_timeout=30
    )
    return client


def test_authenticated_only(flask_app: str) -> None:
    session = requests.Session()
    form = {"name": "bob", "password": "bob's password"}
    session.post(f"{flask_app}/login", data=form, timeout=30)
    cookie = "; ".join(f"{c.name}={c.value}" for c in session.cookies)
    known = connected(flask_app, {"Cookie": cookie}, "/")
    assert known.call("greet", timeout=30) == "hello bob"
    known.shutdown()
    stranger = connected(flask_app, {}, "/")
    stranger.emit("greet")
    wait_until(lambda: not stranger.connected, what="the stranger's end")
    stranger.shutdown()
    wrong = requests.post(f"{flask_app}/login", data={**form, "password": "guess"}, timeout=30)
    assert wrong.status_code == 403


def test_an_app_that_gives_tokens(token_app: tuple[str, Node], page: Page) -> None:
    url, node = token_app
    page.goto(url)
    job = start_and_watch(page)

    # Who started it gets a token, with which any client may watch at the bare node.
    given: Any = page.evaluate(f"fetch('/jobs/{job}/token').then((answer) => answer.json())")
    watcher = Client(node.url)
    ack = watcher.ask("watch", {"job": job, "token": given["token"]})
    assert ack["snapshot"]["state"] == "SUCCESS"
    assert ack["actions"] == ["watch"]
    assert watcher.ask("cancel", {"job": job, "token": given["token"]})["error"] == "forbidden"

    # Nobody else does.
    assert requests.get(f"{url}/jobs/{job}/token", timeout=30).status_code == 403
    assert watcher.ask("watch", {"job": job})["error"] == "forbidden"
    watcher.close()


def test_another_site_can_not_start_a_job(token_app: tuple[str, Node]) -> None:
    url, _ = token_app
    elsewhere = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert requests.post(f"{url}/jobs", headers=elsewhere, timeout=30).status_code == 403
