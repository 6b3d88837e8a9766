"""The page of one job in Chromium: live, shared by a link, and without a script."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.conftest import wait_until
from tests.web.visitor import Demo, Visitor, reach

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.redis]


def test_the_page_follows_its_job(visitor: Visitor) -> None:
    job = visitor.start("flaky", failures=1, countdown=1.5)
    page = visitor.visit(f"/jobs/{job}")
    expect(page.locator(".lane-name")).to_have_text(["Queue", "Try 1", "Next try"])
    expect(page.locator("p.error-type")).to_have_text("Hiccup")
    expect(page.locator(".lane-name")).to_have_text(["Queue", "Try 1", "Try 2"])
    expect(page.locator(".lane-told").last).to_contain_text("done after")
    expect(page.locator("#result-title + .facts")).to_contain_text("attempts")
    reach(page.locator("task-progress"), "SUCCESS")


def test_events_are_added_as_they_come(visitor: Visitor) -> None:
    job = visitor.start("metronome", steps=40, interval=0.05)
    page = visitor.visit(f"/jobs/{job}")
    expect(page.locator(".event-list li b")).to_have_count(10)
    expect(page.locator(".event-list")).to_contain_text("step 40")
    assert page.locator(".event-list time").first.get_attribute("datetime")


def test_the_owner_cancels_by_keyboard(visitor: Visitor) -> None:
    page = visitor.visit(f"/jobs/{visitor.start('metronome', steps=600)}")
    reach(page.locator("task-progress"), "PROGRESS")
    page.get_by_role("button", name="Cancel Metronome").press("Enter")
    reach(page.locator("task-progress"), "REVOKED")
    expect(page.locator(".lane-told").last).to_contain_text("cancelled after")


def test_a_link_shows_the_job_to_a_stranger_and_nothing_else(
    visitor: Visitor, visitors: Callable[..., Visitor]
) -> None:
    job = visitor.start("metronome", steps=600, interval=0.1)
    page = visitor.visit(f"/jobs/{job}")
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#share button")
    expect(page.locator("#share .told")).to_contain_text("Copied.")
    link = page.locator("#share input").input_value()
    assert page.evaluate("navigator.clipboard.readText()") == link
    stranger = visitors()
    seen = stranger.visit(link.removeprefix(stranger.demo.url))
    reach(seen.locator("task-progress"), "PROGRESS")
    far = seen.locator("task-progress").evaluate("each => each.state.current")
    wait_until(
        lambda: seen.locator("task-progress").evaluate("each => each.state.current") > far,
        what="the job to go on before the stranger's eyes",
    )
    expect(seen.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(seen.locator("#share")).to_have_count(0)
    answer = stranger.page.request.post(f"{stranger.demo.url}/bridge/jobs/{job}/cancel")
    assert answer.status == 403
    seen.goto(f"{stranger.demo.url}/jobs/{job}")
    expect(seen.locator("h1")).to_have_text("Not yours to see")
    stranger.complaints.clear()  # Chromium logs every answer of 403.
    page.request.post(f"{visitor.demo.url}/bridge/jobs/{job}/cancel")


def test_a_link_ends(visitor: Visitor, running: Demo) -> None:
    running.worker.state("linked", "STARTED", user="ann", task="workers.metronome", current=1)
    token = running.worker.tokens.issue(jobs="linked", expires=3)
    page = visitor.visit(f"/jobs/linked?token={token}")
    expect(page.locator("task-progress")).to_contain_text("Link expired")
    page.reload()
    expect(page.locator("h1")).to_have_text("This link has expired")
    visitor.complaints.clear()  # Chromium logs the answer of 401.


def test_a_workflow_is_a_tree_that_can_be_walked(visitor: Visitor, running: Demo) -> None:
    visitor.sign_in("ann")
    family = {"root": "w-root", "user": "ann"}
    running.worker.state("w-root", "STARTED", task="tasks.all_rows", user="ann", root="w-root")
    running.worker.state("w-child", "STARTED", task="tasks.some_rows", parent="w-root", **family)
    page = visitor.visit("/jobs/w-child")
    expect(page.locator(".tree [aria-current]")).to_have_text("Some rows")
    page.click(".tree a")
    expect(page).to_have_url(re.compile("/jobs/w-root$"))
    running.worker.state("w-late", "STARTED", task="tasks.late_rows", parent="w-root", **family)
    running.worker.state("w-root", task="tasks.all_rows", user="ann", root="w-root", stage="Late")
    expect(page.locator(".tree")).to_contain_text("Late rows")


def test_without_a_script_the_page_shows_the_state(
    visitor: Visitor, visitors: Callable[..., Visitor], running: Demo
) -> None:
    running.worker.state("plain", "STARTED", user="ann", current=3, total=4, unit="rows")
    plain = visitors(java_script_enabled=False)
    plain.sign_in("ann")
    page = plain.visit("/jobs/plain")
    expect(page.locator(".standing")).to_contain_text("75%")
    expect(page.locator(".standing")).to_contain_text("3 of 4 rows")
    page.get_by_role("button", name="Share a link").click()
    link = page.get_by_label("Link to this job").input_value()
    shared = visitors(java_script_enabled=False).visit(link.removeprefix(running.url))
    expect(shared.locator(".standing")).to_contain_text("75%")
    expect(shared.get_by_role("button", name="Cancel")).to_have_count(0)
    page.get_by_role("link", name="Back to the job").click()
    running.worker.state("plain", user="ann", current=4, total=4, unit="rows")
    # It refreshes by itself.
    expect(page.locator(".standing")).to_contain_text("100%")


def test_without_a_script_a_job_is_cancelled(visitors: Callable[..., Visitor]) -> None:
    visitor = visitors(java_script_enabled=False)
    for path in ("/jobs", "/jobs/{}"):
        job = visitor.start("metronome", steps=600)
        page = visitor.visit(path.format(job))
        page.get_by_role("button", name="Cancel").first.click()
        expect(page).to_have_url(re.compile(f"/jobs/{job}\\?stopping=1$"))
        # The page refreshes by itself.
        expect(page.locator(".standing")).to_contain_text("Cancelled")
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_the_other_forms_of_the_page_work_too(visitor: Visitor, running: Demo) -> None:
    running.worker.state("anns", "STARTED", user="ann")
    visitor.sign_in("ann")
    page = visitor.visit("/jobs/anns")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
