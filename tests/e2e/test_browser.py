"""What a person sees, in a real Chromium."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import ROOT, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.redis, pytest.mark.browser]

PICTURES = ROOT / "test-artefacts"


def put_widgets(page: Page, stack: Stack, *jobs: dict[str, str]) -> None:
    """Show jobs on a page of the node, as any page of a user would."""
    page.goto(stack.url)
    page.evaluate(
        """async (jobs) => {
            await import("/bridge/task-progress.js");
            const main = document.querySelector("main") ?? document.body;
            for (const {job, token} of jobs) {
                const widget = document.createElement("task-progress");
                widget.setAttribute("job", job);
                widget.setAttribute("token", token);
                widget.dataset.test = job;
                main.prepend(widget);
            }
        }""",
        list(jobs),
    )


def widget(page: Page, job: dict[str, str]):  # type: ignore[no-untyped-def]  # Locator
    return page.locator(f"task-progress[data-test='{job['job']}']")


def test_a_late_joiner_sees_the_state_at_once(page: Page, stack: Stack) -> None:
    job = stack.start("metronome", steps=3, interval=0.01)
    stack.wait_for(job, "SUCCESS")
    put_widgets(page, stack, job)
    bar = widget(page, job).get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", re.compile("^(3|100)$"))
    expect(widget(page, job)).to_contain_text("Done")


def test_a_running_job_moves_and_two_widgets_share_one_connection(page: Page, stack: Stack) -> None:
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    one = stack.start("metronome", steps=40, interval=0.1)
    two = stack.start("metronome", steps=40, interval=0.1)
    put_widgets(page, stack, one, two)
    for job in (one, two):
        bar = widget(page, job).get_by_role("progressbar")
        expect(bar).to_have_attribute("aria-valuenow", re.compile(r"^[1-9]"))
    first = float(widget(page, one).get_by_role("progressbar").get_attribute("aria-valuenow") or 0)
    page.wait_for_function(
        """([id, first]) => {
            const bar = document.querySelector(`task-progress[data-test='${id}']`)
                .shadowRoot.querySelector("[role=progressbar]");
            return Number(bar.getAttribute("aria-valuenow")) > first;
        }""",
        arg=[one["job"], first],
    )
    for job in (one, two):
        expect(widget(page, job)).to_contain_text("Done")
    assert len(sockets) == 1


def test_retry_and_failure_look_right(page: Page, stack: Stack) -> None:
    job = stack.start("flaky", failures=1, countdown=2, outcome="failure")
    put_widgets(page, stack, job)
    expect(widget(page, job)).to_contain_text(re.compile("try again|next try|retry", re.I))
    expect(widget(page, job)).to_contain_text("Failed")
    expect(widget(page, job)).to_contain_text("try 2")
    widget(page, job).screenshot(path=PICTURES / "failure.png")


def test_a_forged_token_says_no_permission(page: Page, stack: Stack) -> None:
    job = stack.start("metronome", steps=1, interval=0.01)
    put_widgets(page, stack, {"job": job["job"], "token": "forged"})
    expect(widget(page, job)).to_contain_text(re.compile("permission", re.I))


def test_the_page_starts_a_job_shows_its_events_and_resumes_after_a_reload(
    page: Page, stack: Stack
) -> None:
    page.goto(stack.url)
    page.get_by_role("tab", name="Metronome").click()
    page.get_by_role("button", name="Start").locator("visible=true").click()
    first = page.locator("task-progress").first
    expect(first.get_by_role("progressbar")).to_have_attribute(
        "aria-valuenow", re.compile(r"^[1-9]")
    )
    job = first.get_attribute("job")

    page.reload()

    again = page.locator(f"task-progress[job='{job}']")
    expect(again.get_by_role("progressbar")).to_have_attribute(
        "aria-valuenow", re.compile(r"^[1-9]")
    )
    expect(page.locator(".events").get_by_text("tick").first).to_be_visible()
    expect(again).to_contain_text("Done")
    page.screenshot(path=PICTURES / "page.png", full_page=True)


def test_dom_events_tell_scripts_of_the_page(page: Page, stack: Stack) -> None:
    job = stack.start("metronome", steps=30, interval=0.1)
    put_widgets(page, stack, job)
    seen = page.evaluate(
        """(id) => new Promise((resolve) => {
            const widget = document.querySelector(`task-progress[data-test='${id}']`);
            const seen = new Set();
            for (const name of ["progress", "tick", "success"]) {
                widget.addEventListener(name, (event) => {
                    seen.add(name);
                    if (name === "success") resolve([[...seen].sort(), event.detail.state]);
                });
            }
        })""",
        job["job"],
    )
    assert seen == [["progress", "success", "tick"], "SUCCESS"]
