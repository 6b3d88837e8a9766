"""What an attacker puts into a job, a name or a token, and what a browser makes of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect

from bridge.tokens import Tokens
from tests.conftest import wait_until
from tests.e2e.conftest import Stack
from tests.nodes import SECRET, Worker

pytestmark = [pytest.mark.e2e, pytest.mark.redis, pytest.mark.browser]

ATTACKS = {
    "script": "<script>window.hacked=1</script>",
    "image": "<img src=x onerror=window.hacked=1>",
    "way out": "\"'></span></task-progress><svg onload=window.hacked=1>",
    "frame": "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe>",
    "style": "<style>*{display:none}</style><link rel=stylesheet href=//evil.example>",
    "address": "javascript:window.hacked=1",
    "template": "{{constructor.constructor('window.hacked=1')()}} ${window.hacked=1}",
    "line": "\u202e\u2066<b>\u0000\u001b[31m😀",
}
#: No attribute and no element beyond these is in a page or in a widget of ours.
ALLOWED_TAGS = set(
    """html head meta title link script body a header img p main h1 h2 h3 noscript section div
    button form label input select option figure figcaption pre code span ol ul li template
    task-progress dl dt dd details summary time b small nav svg symbol use path circle rect text
    slot bdi""".split()  # noqa: SIM905
)
SCRIPTS = {"/static/gallery.js", "/static/dashboard.js", "/static/job-page.js"}

VIOLATIONS = (
    "window.violations = []; addEventListener('securitypolicyviolation',"
    " (event) => window.violations.push(event.violatedDirective + ' ' + event.blockedURI));"
)
AUDIT = """() => {
    const found = {hacked: window.hacked ?? null, violations: window.violations, tags: [], handlers: [], scripts: []};
    const look = (root) => {
        for (const each of root.querySelectorAll("*")) {
            found.tags.push(each.localName);
            for (const {name} of each.attributes) if (name.startsWith("on")) found.handlers.push(name);
            if (each.localName === "script") found.scripts.push(each.getAttribute("src"));
            if (each.shadowRoot) look(each.shadowRoot);
        }
    };
    look(document);
    return found;
}"""  # noqa: E501


@pytest.fixture
def worker(stack: Stack) -> Worker:
    return Worker(stack.settings)


@pytest.fixture
def asked(page: Page, stack: Stack) -> Iterator[list[str]]:
    """Addresses that the page asked for; at the end it must be as we made it."""
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    page.add_init_script(VIOLATIONS)
    yield addresses
    found = page.evaluate(AUDIT)
    assert found["hacked"] is None
    assert found["violations"] == []
    assert set(found["tags"]) <= ALLOWED_TAGS
    assert found["handlers"] == []
    assert len(found["scripts"]) == 1
    assert set(found["scripts"]) <= SCRIPTS
    ours = ("/static/", "/bridge/task-progress.", "/socket.io/", "/demo/jobs", "/jobs", "/sign-in")
    for address in addresses:
        path = address.replace("ws:", "http:", 1).removeprefix(stack.url)
        assert path in ("", "/") or path.startswith(("/?show=", *ours)), address


def card(page: Page, stack: Stack, worker: Worker, job: str, token: str | None = None) -> Locator:
    """Show a job on the gallery as if the node had just started it for this browser.

    The session has no part in it: it is the token that allows what is allowed.
    """
    token = token or worker.tokens.issue(jobs=job, actions=["watch", "cancel"])
    page.goto(stack.url)
    page.route(
        "**/demo/jobs/metronome",
        lambda route: route.fulfill(status=201, json={"job": job, "token": token}),
    )
    page.click("#tab-metronome")
    page.click("#panel-metronome [type=submit]")
    shown = page.locator(f'.job[data-job="{job}"]')
    expect(shown).to_be_visible()
    page.unroute("**/demo/jobs/metronome")
    return shown


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_state_is_shown_as_text_only(
    page: Page, asked: list[str], stack: Stack, worker: Worker, attack: str
) -> None:
    job = uuid.uuid4().hex
    fields: dict[str, Any] = {
        "task": f"tasks.{attack}", "message": attack, "unit": attack, "worker": attack,
        "queue": attack, "meta": {attack: attack}, "user": "somebody",
        "stage": attack, "stages": [{"name": attack, "state": attack}, {"name": "b"}],
        "current": 3, "total": 9,
    }  # fmt: skip
    worker.state(job, "STARTED", **fields)
    widget = card(page, stack, worker, job).locator("task-progress")
    widget.evaluate("(each, label) => (each.label = label)", attack)

    for part in ("label", "stage", "message", "figures"):
        said = widget.locator(f".{part}")
        expect(said).to_contain_text(attack.strip("\u0000"), use_inner_text=False)
    assert widget.locator(".frame").get_attribute("data-tone") == "running"

    worker.state(job, "FAILURE", **fields, error={"type": attack, "message": attack})
    expect(widget.locator(".error-type")).to_have_text(attack)
    expect(widget.locator(".error-text")).to_contain_text(attack)


@pytest.mark.parametrize("path", ["/", "/jobs", "/jobs/{job}"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_pages_that_the_server_draws_hold_text_only(
    chromium: Browser, stack: Stack, worker: Worker, path: str, scripts: bool
) -> None:
    attack = "".join(ATTACKS.values())
    job = uuid.uuid4().hex
    fields: dict[str, Any] = {
        "task": attack, "message": attack, "unit": attack, "worker": attack, "queue": attack,
        "user": "ann", "stage": attack, "stages": [{"name": attack, "weight": 1}], "current": 1,
        "error": {"type": attack, "message": attack}, "result": {attack: attack},
    }  # fmt: skip
    worker.state(job, "STARTED", **fields)
    worker.event(job, attack, attack)
    worker.state(job, "FAILURE", **fields)
    context = chromium.new_context(java_script_enabled=scripts)
    context.add_init_script(VIOLATIONS)
    page = context.new_page()
    page.request.post(f"{stack.url}/sign-in", form={"name": "ann", "password": "ann-demo"})
    page.goto(stack.url + path.format(job=job))
    expect(page.locator("main")).to_contain_text("window.hacked=1")
    if scripts:
        page.wait_for_load_state("networkidle")
    found = page.evaluate(AUDIT)
    assert found["hacked"] is None
    assert (found["violations"] or []) == []
    assert set(found["tags"]) <= ALLOWED_TAGS
    assert found["handlers"] == []
    context.close()


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_events_and_results_are_shown_as_text_only(
    page: Page, asked: list[str], stack: Stack, worker: Worker, attack: str
) -> None:
    job = uuid.uuid4().hex
    worker.state(job, "STARTED")
    worker.event(job, attack, {attack: attack, "list": [attack, [attack, attack]]})
    worker.event(job, "log", {"level": attack, "logger": attack, "text": attack})
    shown = card(page, stack, worker, job)
    expect(shown.locator(".events li")).to_have_count(2)
    worker.event(job, attack, attack)
    worker.state(job, "SUCCESS", result={attack: attack, "nested": {attack: [attack]}})

    expect(shown.locator(".events li")).to_have_count(3)
    expect(shown.locator(".events li b").first).to_have_text(attack)
    for line in shown.locator(".events li span").all():
        expect(line).to_contain_text(attack)
    expect(shown.locator(".result dt").first).to_have_text(attack)
    expect(shown.locator(".result dd").first).to_have_text(attack)


#: Names that mean something to browsers, to objects or to us.
NAMES = [
    "click", "error", "load", "submit", "offline", "online", "beforeunload", "message", "then",
    "constructor", "__proto__", "toString", "hasOwnProperty", "onclick", "cancel-requested",
]  # fmt: skip


def test_events_of_any_name_are_events_and_nothing_else(
    page: Page, asked: list[str], stack: Stack, worker: Worker
) -> None:
    job = uuid.uuid4().hex
    worker.state(job, "STARTED", current=1, total=2)
    shown = card(page, stack, worker, job)
    widget = shown.locator("task-progress")
    expect(widget).to_contain_text("50%")
    for name in NAMES:
        worker.event(job, name, {"__proto__": {"hacked": 1}, "toString": 1, "name": "success"})

    expect(shown.locator(".events li b")).to_have_text(NAMES)
    expect(widget).to_contain_text("Running")
    assert page.evaluate("({}).hacked") is None


#: What no task of ours sends; whoever may write to the queue can.
WRONG: dict[str, dict[str, Any]] = {
    "objects for texts": {
        field: {"toString": 1, "valueOf": 1}
        for field in ("task", "message", "unit", "stage", "error", "attempt", "rate", "eta")
    },
    "lists for all": {
        field: [[None]]
        for field in ("task", "message", "unit", "stage", "stages", "error", "current", "total",
                      "started_at", "ended_at", "next_at", "meta", "result", "attempt")
    },
    "stages of any kind": {"stage": "s", "stages": [None, 5, "s", {"name": {"toString": 1}}]},
    "numbers out of range": {
        "current": 1e308, "total": -1e308, "rate": 1e308, "eta": 1e308, "started_at": -1e308,
        "ended_at": 1e308, "attempt": 1e308, "queued_at": 1e308,
    },
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_values_of_another_type_break_nothing(
    page: Page, asked: list[str], stack: Stack, worker: Worker, wrong: dict[str, Any]
) -> None:
    for last in ("RETRY", "FAILURE", "LOST", "SUCCESS"):
        job = uuid.uuid4().hex
        worker.state(job, "STARTED", **wrong)
        shown = card(page, stack, worker, job)
        widget = shown.locator("task-progress")
        expect(widget).to_contain_text("Running")
        for state in ("constructor", "__proto__", "PROGRESS"):
            worker.state(job, state, **wrong)
        worker.event(job, "row", {"deep": nested(500)})
        worker.state(job, last, **{"result": {"deep": nested(500), "long": "x" * 30_000}, **wrong})
        tone = {"RETRY": "retrying", "FAILURE": "failure", "LOST": "lost", "SUCCESS": "success"}
        expect(widget.locator(".frame")).to_have_attribute("data-tone", tone[last])
        expect(shown.locator(".events li")).to_have_count(1)
        expect(shown.locator(".events li")).to_contain_text("…")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def nested(depth: int) -> Any:
    return json.loads("[" * depth + "]" * depth)


@pytest.mark.parametrize("name", ["image", "way out", "template"])
def test_the_name_of_an_uploaded_file(
    page: Page, asked: list[str], stack: Stack, name: str
) -> None:
    filename = ATTACKS[name].replace("/", "") + ".csv"
    page.goto(stack.url)
    page.click("#tab-import_csv")
    content = b"<script>window.hacked=1</script>,b\n1,2\n<img src=x onerror=window.hacked=1>\n"
    page.set_input_files(
        "#import_csv-file", [{"name": filename, "mimeType": "text/csv", "buffer": content}]
    )
    page.click("#panel-import_csv [type=submit]")
    shown = page.locator(".job").first
    expect(shown.locator("task-progress")).to_contain_text("Done")
    expect(shown.locator(".subject")).to_have_text(filename)
    expect(shown.locator(".result")).to_contain_text(filename)
    expect(shown.locator(".events li")).to_have_count(1)


def start_metronome(page: Page, stack: Stack, steps: int = 600) -> tuple[Locator, str]:
    page.goto(stack.url)
    page.click("#tab-metronome")
    page.fill("#metronome-steps", str(steps))
    page.click("#panel-metronome [type=submit]")
    widget = page.locator("task-progress").first
    expect(widget).to_contain_text("Running")
    return widget, str(widget.get_attribute("job"))


def test_who_started_a_job_may_cancel_it_and_the_node_says_who_did(
    page: Page, asked: list[str], stack: Stack
) -> None:
    widget, job = start_metronome(page, stack)
    widget.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    expect(widget).to_contain_text("Cancelled")
    expect(widget.get_by_role("button")).to_have_count(0)
    told = [line for line in stack.node.log if job in line and "cancel" in line]
    assert len(told) == 1
    assert "127.0.0.1" in told[0]


def test_who_may_only_watch_sees_no_button_and_is_refused(
    page: Page, asked: list[str], stack: Stack, worker: Worker
) -> None:
    job = uuid.uuid4().hex
    worker.state(job, "STARTED", current=1, total=2)
    shown = card(page, stack, worker, job)
    widget = shown.locator("task-progress")
    expect(widget.get_by_role("button", name="Cancel")).to_be_visible()
    widget.evaluate("(each, token) => (each.token = token)", worker.tokens.issue(jobs=job))
    expect(widget.get_by_role("button")).to_have_count(0)
    expect(widget).to_contain_text("50%")
    error = widget.evaluate("each => each.cancel().catch((error) => error.error)")
    assert error == "forbidden"
    expect(widget).to_contain_text("Not cancelled: you are not allowed to.")
    assert not worker.state(job).cancel


def test_a_token_that_runs_out_is_renewed_without_a_word(
    page: Page, asked: list[str], stack: Stack, worker: Worker
) -> None:
    # The page connects before the browser has a session, so only the token speaks for it there.
    other = uuid.uuid4().hex
    worker.state(other, "STARTED", current=1, total=2)
    expect(card(page, stack, worker, other).locator("task-progress")).to_contain_text("50%")

    def shorten(route: Route) -> None:
        answer = route.fetch()
        job = answer.json()["job"]
        token = Tokens([SECRET], seconds=60).issue(jobs=job, expires=2.0)
        route.fulfill(response=answer, json={"job": job, "token": token})

    page.route("**/demo/jobs/metronome", shorten)
    widget = page.locator("task-progress").first
    with page.expect_request("**/token") as renewal:
        page.click("#panel-metronome [type=submit]")
        expect(widget).not_to_have_attribute("job", other)
    job = str(widget.get_attribute("job"))
    assert f"/{job}/" in renewal.value.url
    current = "each => each.state?.current ?? 0"
    before = widget.evaluate(current)
    wait_until(lambda: widget.evaluate(current) > before, what="the job to go on")
    expect(widget).to_contain_text("Running")
    assert sum(f"{job}/token" in each for each in asked) == 1
    widget.get_by_role("button", name="Cancel").click()
    expect(widget).to_contain_text("Cancelled")


def test_a_browser_that_did_not_start_the_job_gets_no_fresh_token(
    page: Page, asked: list[str], stack: Stack, worker: Worker
) -> None:
    job = stack.start("metronome", steps=5)["job"]  # by somebody else
    renewals: list[int | None] = []

    def refuse(route: Route, request: Request) -> None:
        # Answered here, because Chromium logs every 403 and this page must say nothing.
        answer = requests.get(request.url, headers=request.all_headers(), timeout=30)
        renewals.append(answer.status_code)
        route.fulfill(status=200, body="{}", content_type="application/json")

    page.route("**/token", refuse)
    past = Tokens([SECRET], seconds=60, clock=lambda: 1000.0).issue(jobs=job)
    widget = card(page, stack, worker, job, past).locator("task-progress")
    expect(widget).to_contain_text("Link expired")
    assert set(renewals) == {403}
    assert len(renewals) <= 3


def uploaded(stack: Stack) -> list[Path]:
    return list(stack.uploads.iterdir()) if stack.uploads.is_dir() else []


def cancel(stack: Stack, started: dict[str, str]) -> None:
    answer = requests.post(
        f"{stack.url}/bridge/jobs/{started['job']}/cancel",
        headers={"Authorization": f"Bearer {started['token']}"},
        timeout=10,
    )
    assert answer.status_code == 200, answer.text


def test_an_upload_goes_with_its_job_however_that_ends(stack: Stack) -> None:
    done = stack.upload("import_csv", "a.csv", b"a,b\n1,2\n")
    failed = stack.upload("import_csv", "a.csv", b"\xff\xfea\x00")
    stack.wait_for(done, "SUCCESS")
    stack.wait_for(failed, "FAILURE")
    wait_until(lambda: uploaded(stack) == [], what="both files to go")

    running = stack.upload("import_csv", "a.csv", b"a,b\n" + b"1,2\n" * 4_000_000)
    stack.wait_for(running, "STARTED", "PROGRESS")
    assert len(uploaded(stack)) == 1
    cancel(stack, running)
    stack.wait_for(running, "REVOKED")
    wait_until(lambda: uploaded(stack) == [], what="the file of the running job to go")

    busy = [stack.start("metronome", steps=300, interval=0.1) for _ in range(2)]
    for each in busy:
        stack.wait_for(each, "PROGRESS")
    waiting = stack.upload("import_csv", "a.csv", b"a,b\n1,2\n")
    cancel(stack, waiting)
    assert len(uploaded(stack)) == 1
    for each in busy:
        cancel(stack, each)
    stack.wait_for(waiting, "REVOKED")
    wait_until(lambda: uploaded(stack) == [], what="the file of the job that never ran to go")
