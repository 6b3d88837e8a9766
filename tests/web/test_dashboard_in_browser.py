"""The page `/jobs` in Chromium: thousands of jobs, and a few that run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import wait_until
from tests.web.visitor import Demo, Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.redis]
CROWD = 3000


@pytest.fixture(scope="module")
def crowd(running: Demo) -> list[str]:
    """Bob's jobs, the oldest first."""
    return running.crowd("bob", CROWD)


@pytest.fixture
def bob(visitor: Visitor, crowd: list[str]) -> Page:
    visitor.sign_in("bob")
    page = visitor.visit("/jobs")
    complete(page, CROWD)
    return page


def complete(page: Page, count: int) -> None:
    """Wait until the page knows all jobs."""
    expect(page.locator("#table")).to_have_attribute("aria-rowcount", str(count + 1))


def shown(page: Page) -> list[str]:
    """The jobs whose rows are there, as they stand in the document."""
    return list(
        page.evaluate("[...document.querySelectorAll('#rows [data-job]')].map(e => e.dataset.job)")
    )


def row(page: Page, job: str) -> Any:
    return page.locator(f'#rows [data-job="{job}"]')


def test_of_thousands_only_those_near_the_screen_are_there(bob: Page, crowd: list[str]) -> None:
    expect(bob.locator("#chips [aria-current]")).to_contain_text("3,000")
    assert len(shown(bob)) < 60
    assert shown(bob)[:3] == crowd[:-4:-1]
    bob.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(row(bob, crowd[0])).to_be_in_viewport()
    assert len(shown(bob)) < 60
    assert shown(bob) == sorted(shown(bob), key=crowd.index, reverse=True), (
        "in the order of reading"
    )
    bob.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
    wait_until(lambda: crowd[CROWD // 2] in shown(bob), what="the middle")
    rows = bob.locator("#rows .line")
    first = rows.first.get_attribute("aria-rowindex")
    assert int(first or 0) == CROWD - crowd.index(shown(bob)[0]) + 1


def test_the_keyboard_goes_through_all_rows(bob: Page, crowd: list[str]) -> None:
    row(bob, crowd[-1]).locator("a").focus()
    for _ in range(70):
        bob.keyboard.press("Tab")
    focused = bob.evaluate("document.activeElement.closest('[data-job]').dataset.job")
    assert CROWD - 71 <= crowd.index(focused) < CROWD - 30
    expect(row(bob, focused)).to_be_in_viewport()
    # Who scrolls away with the mouse is still where they were.
    bob.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(row(bob, crowd[0])).to_be_in_viewport()
    assert bob.evaluate("document.activeElement.closest('[data-job]').dataset.job") == focused


def test_search_and_filter_are_in_the_address(bob: Page, crowd: list[str]) -> None:
    bob.fill("#q", crowd[1234])
    expect(bob.locator("#rows .line")).to_have_count(1)
    expect(bob).to_have_url(re.compile(rf"/jobs\?q={crowd[1234]}$"))
    bob.fill("#q", "")
    bob.click("#chips [data-group=failed]")
    expect(bob).to_have_url(re.compile(r"/jobs\?state=failed$"))
    wait_until(lambda: groups(bob) == {"failed"}, what="failed ones only")
    bob.fill("#q", "hiccup")
    bob.click("#chips [data-group='']")
    expect(bob).to_have_url(re.compile(r"/jobs\?q=hiccup$"))
    bob.fill("#q", "")
    wait_until(lambda: "done" in groups(bob), what="all again")
    bob.go_back()
    expect(bob.locator("#q")).to_have_value("hiccup")
    wait_until(lambda: groups(bob) == {"failed"}, what="back to the failed ones")
    failed = shown(bob)
    bob.reload()
    wait_until(lambda: shown(bob)[:20] == failed[:20], what="the same after a reload")
    expect(bob.locator("#chips [data-group=failed]")).to_have_attribute("aria-current", "true")
    bob.fill("#q", "no such job")
    expect(bob.locator(".none-found")).to_be_visible()
    bob.click("#clear")
    expect(bob).to_have_url(re.compile(r"/jobs$"))
    complete(bob, CROWD)
    expect(bob.locator("#q")).to_be_focused()


def test_the_order_is_in_the_address_and_chosen_by_keyboard(bob: Page, crowd: list[str]) -> None:
    age = bob.locator(".titles [data-column=age]")
    expect(bob.locator(".titles [aria-sort]")).to_have_text("Age")
    age.focus()
    bob.keyboard.press("Enter")
    expect(bob).to_have_url(re.compile(r"/jobs\?sort=-age$"))
    wait_until(lambda: shown(bob)[:3] == crowd[:3], what="the oldest first")
    expect(bob.locator("[aria-sort=descending]")).to_have_text("Age")
    expect(age).to_be_focused()
    bob.click(".titles [data-column=state]")
    wait_until(lambda: groups(bob) == {"waiting"}, what="those that wait before those that ended")
    bob.click("#chips [data-group=done]")
    bob.click(".titles [data-column=job]")
    expect(bob).to_have_url(re.compile(r"/jobs\?state=done&sort=job$"))
    wait_until(lambda: titles(bob) == sorted(titles(bob)), what="from A to Z")
    first = shown(bob)[:20]
    bob.reload()
    wait_until(lambda: shown(bob)[:20] == first, what="the same after a reload")
    bob.go_back()
    wait_until(lambda: titles(bob) != sorted(titles(bob)), what="back to the order before")
    # A phone has no titles of columns.
    bob.set_viewport_size({"width": 320, "height": 700})
    expect(age).to_be_hidden()
    bob.get_by_label("Order").select_option("Names from Z to A")
    expect(bob).to_have_url(re.compile(r"sort=-job$"))
    wait_until(lambda: titles(bob) == sorted(titles(bob), reverse=True), what="from Z to A")


def test_rows_in_another_order_are_read_in_that_order(bob: Page, crowd: list[str]) -> None:
    bob.fill("#q", "-299")
    wait_until(lambda: 10 < len(shown(bob)) < 20, what="the few that are found")
    newest_first = shown(bob)
    assert newest_first == sorted(newest_first, key=crowd.index, reverse=True)
    bob.click(".titles [data-column=age]")
    wait_until(lambda: shown(bob) == newest_first[::-1], what="the oldest first")
    # Whose row moves keeps the keyboard.
    link = row(bob, newest_first[2]).locator("a")
    link.focus()
    bob.go_back()
    wait_until(lambda: shown(bob) == newest_first, what="the newest first again")
    expect(link).to_be_focused()


def test_each_width_has_room_for_names_and_for_cancelling(bob: Page) -> None:
    for width in (1280, 1060, 1040, 800, 740, 320):
        bob.set_viewport_size({"width": width, "height": 700})
        boxes = [
            bob.locator(part).first.bounding_box()
            for part in ("#rows .what", "#rows .act", "#table")
        ]
        name, cancel, table = (box or {"x": 0, "width": 0} for box in boxes)
        assert name["width"] >= 125, width
        assert cancel["x"] + cancel["width"] <= table["x"] + table["width"], width


def titles(page: Page) -> list[str]:
    return page.locator("#rows .title").all_text_contents()


def groups(page: Page) -> set[str]:
    found = page.evaluate("[...document.querySelectorAll('#rows .line')].map(e => e.dataset.group)")
    return set(found)


def test_an_admin_sees_whose_jobs_they_are_and_others_see_their_own(
    bob: Page, visitors: Callable[..., Visitor], crowd: list[str]
) -> None:
    guest, admin = visitors(), visitors()
    job = guest.start("metronome", steps=1, interval=0)
    page = guest.visit("/jobs")
    expect(row(page, job)).to_be_visible()
    assert shown(page) == [job]
    admin.sign_in("admin")
    everything = admin.visit("/jobs")
    expect(row(everything, job).locator(".user")).to_contain_text("guest-")
    everything.fill("#q", crowd[5])
    expect(row(everything, crowd[5]).locator(".user")).to_have_text("bob")
    assert job not in shown(bob)


@pytest.mark.parametrize("who", ["a guest", "the admin"])
def test_jobs_are_followed_and_stopped(visitors: Callable[..., Visitor], who: str) -> None:
    guest = visitors()
    finished = guest.start("metronome", steps=1, interval=0)
    watcher = guest if who == "a guest" else visitors()
    if watcher is not guest:
        watcher.sign_in("admin")
    page = watcher.visit("/jobs")
    expect(row(page, finished)).to_have_attribute("data-group", "done")
    job = guest.start("metronome", steps=2000, interval=0.1)
    expect(row(page, job)).to_have_attribute("data-group", "running")
    before = row(page, job).locator(".amount").inner_text()
    expect(row(page, job).locator(".amount")).not_to_have_text(before)
    expect(row(page, job).locator(".rate")).to_contain_text("steps/s")
    for name, told in {"worker": "@", "queue": "workers", "tries": "1", "age": "sec"}.items():
        expect(row(page, job).locator(f".{name}")).to_contain_text(told)
    row(page, job).get_by_role("button", name="Cancel Metronome").press("Enter")
    expect(row(page, job)).to_have_attribute("data-group", "cancelled")
    expect(row(page, job).get_by_role("button")).to_have_count(0)
    expect(row(page, job).locator(".title")).to_be_focused()
    expect(page.locator("#throughput figcaption")).not_to_have_text(re.compile("^0 "))


def test_what_is_added_on_top_does_not_move_who_reads_below(
    bob: Page, running: Demo, crowd: list[str]
) -> None:
    bob.evaluate("scrollTo(0, 20000)")
    wait_until(lambda: crowd[-1] not in shown(bob), what="far below")
    reading = bob.evaluate("document.elementFromPoint(400, 400).closest('[data-job]').dataset.job")
    where = row(bob, reading).bounding_box()
    added = running.crowd("bob", 1)
    complete(bob, CROWD + 1)
    now = row(bob, reading).bounding_box()
    assert abs(now["y"] - where["y"]) < 1
    crowd += added


def test_with_no_jobs_the_page_says_what_to_do(visitor: Visitor) -> None:
    page = visitor.visit("/jobs")
    expect(page.locator(".none-yet")).to_be_visible()
    page.click(".none-yet .primary")
    expect(page.locator("h1")).to_have_text("Start a job and watch it")


def test_without_the_node_the_page_says_that_it_is_not_live(visitor: Visitor) -> None:
    job = visitor.start("metronome", steps=1, interval=0)
    page = visitor.visit("/jobs")
    expect(row(page, job)).to_have_attribute("data-group", "done")
    visitor.context.set_offline(True)
    expect(page.locator("#notice")).to_contain_text("Reconnecting")
    expect(row(page, job)).to_be_visible()
    visitor.context.set_offline(False)
    expect(page.locator("#notice")).to_be_hidden()
    visitor.complaints.clear()  # Chromium logs what could not be fetched.


def test_without_a_script_the_page_shows_the_state_and_searches(
    visitors: Callable[..., Visitor], crowd: list[str]
) -> None:
    visitor = visitors(java_script_enabled=False)
    visitor.sign_in("bob")
    page = visitor.visit("/jobs")
    expect(page.locator("#rows .line")).to_have_count(40)
    page.fill("#q", crowd[-3])
    page.press("#q", "Enter")
    expect(page.locator("#rows .line")).to_have_count(1)
    page.click("#chips [data-group='']")
    expect(page.locator("#rows .line")).to_have_count(1)
    page.goto(f"{visitor.demo.url}/jobs?state=done")
    expect(page.locator("#rows .line").first).to_contain_text("Done")
    page.click(".titles [data-column=job]")
    expect(page).to_have_url(re.compile(r"/jobs\?state=done&sort=job$"))
    expect(page.locator("[aria-sort=ascending]")).to_have_text("Job")
    page.fill("#q", "file")
    page.press("#q", "Enter")
    expect(page).to_have_url(re.compile(r"q=file&state=done&sort=job$"))
    assert titles(page) == sorted(titles(page))
