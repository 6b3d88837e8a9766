"""The page `/` in Chromium, on a whole demo: real jobs on a real worker."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.conftest import wait_until
from tests.web.visitor import Visitor, reach

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.redis]


class Gallery:
    """The page as somebody uses it."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.page = visitor.visit("/")

    def start(self, job: str, files: list[dict[str, Any]] | None = None, **fields: str) -> Any:
        """Start a job with its form; return its card."""
        self.page.click(f"#tab-{job}")
        for name, value in fields.items():
            field = self.page.locator(f"#{job}-{name}")
            if field.evaluate("each => each.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)
        if files:
            self.page.set_input_files(f"#{job}-file", files)
        cards = self.page.locator(".job")
        before = cards.count()
        self.page.click(f"#panel-{job} [type=submit]")
        expect(cards).to_have_count(before + 1)
        return cards.first


def widget(card: Any) -> Any:
    return card.locator("task-progress")


@pytest.fixture
def gallery(visitor: Visitor) -> Gallery:
    return Gallery(visitor)


def file(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "mimeType": "text/plain", "buffer": content}


def test_checksum(gallery: Gallery) -> None:
    card = gallery.start("checksum_folder")
    reach(widget(card), "SUCCESS")
    expect(card.locator(".result")).to_contain_text("sha256:")


def test_import_tells_each_row_that_does_not_fit(gallery: Gallery) -> None:
    evil = b"a,b\n1,2\n3\n<img src=x onerror=alert(1)>,2,3\n"
    card = gallery.start("import_csv", [file("<b>rows</b>.csv", evil)])
    reach(widget(card), "SUCCESS")
    expect(card.locator(".events li")).to_have_count(2)
    expect(card.locator(".events")).to_contain_text("row_rejected")
    expect(card.locator(".events")).to_contain_text("line 3 · reason 1 column where the header")
    expect(card.locator(".result")).to_contain_text("rejected2")
    expect(card.locator(".subject")).to_have_text("<b>rows</b>.csv")
    assert card.locator("b").all_inner_texts() == ["row_rejected", "row_rejected"]


def test_words_of_several_texts(gallery: Gallery) -> None:
    card = gallery.start("count_words", [file("1.txt", b"a b c"), file("2.txt", b"a")])
    reach(widget(card), "SUCCESS")
    expect(card.locator(".events li")).to_have_count(2)
    expect(card.locator(".result")).to_contain_text("top" + "a 2 · b 1 · c 1")


def test_retry_then_failure(gallery: Gallery) -> None:
    card = gallery.start("flaky", failures="1", countdown="1.5", outcome="failure")
    reach(widget(card), "RETRY")
    expect(card.locator("task-progress")).to_contain_text("Hiccup")
    reach(widget(card), "FAILURE")
    expect(card.locator("task-progress")).to_contain_text(
        "attempt 2 of 2 failed, as asked: none is left"
    )
    expect(card.locator(".result")).to_be_hidden()


def test_a_job_is_cancelled_by_keyboard(gallery: Gallery) -> None:
    card = gallery.start("metronome", steps="600")
    reach(widget(card), "PROGRESS")
    card.get_by_role("button", name="Cancel Metronome").focus()
    gallery.page.keyboard.press("Space")
    reach(widget(card), "REVOKED")
    expect(card.locator("task-progress")).to_contain_text("Cancelled")
    expect(card.get_by_role("button", name="Cancel")).to_have_count(0)


def test_a_retry_that_waits_is_cancelled(gallery: Gallery) -> None:
    card = gallery.start("flaky", failures="1", countdown="2")
    reach(widget(card), "RETRY")
    card.get_by_role("button", name="Cancel").click()
    expect(card.locator("task-progress")).to_contain_text("Cancelling")
    reach(widget(card), "REVOKED")


def test_after_a_reload_the_jobs_are_there_and_go_on(gallery: Gallery) -> None:
    first = gallery.start("metronome", steps="600", interval="0.1")
    reach(widget(first), "PROGRESS")
    gallery.start("metronome", steps="1", interval="0")
    asked = gallery.page.locator(".job .subject").all_inner_texts()
    gallery.page.reload()
    cards = gallery.page.locator(".job")
    expect(cards).to_have_count(2)
    expect(cards.locator(".subject")).to_have_text(asked)
    assert "600" in asked[1]
    reach(widget(cards.nth(0)), "SUCCESS")
    expect(cards.nth(0).locator(".result")).to_contain_text("steps1")
    running = widget(cards.nth(1))
    far = running.evaluate("each => each.state.current")
    wait_until(lambda: running.evaluate("each => each.state.current") > far, what="it to go on")
    cards.nth(1).get_by_role("button", name="Cancel").click()
    reach(running, "REVOKED")


def test_the_chosen_form_is_in_the_address(gallery: Gallery) -> None:
    gallery.page.click("#tab-flaky")
    gallery.page.reload()
    expect(gallery.page.locator("#panel-flaky")).to_be_visible()
    gallery.visitor.visit("/?show=nonsense")
    expect(gallery.page.locator("#panel-checksum_folder")).to_be_visible()


def test_a_card_leads_to_its_job_and_the_list_to_all(gallery: Gallery) -> None:
    expect(gallery.page.locator("#all-jobs")).to_be_hidden()
    card = gallery.start("metronome", steps="1", interval="0")
    expect(gallery.page.locator("#all-jobs")).to_be_visible()
    card.locator(".more").click()
    expect(gallery.page).to_have_title(re.compile("^Metronome"))


def test_without_a_script_a_form_leads_to_its_job(visitors: Callable[..., Visitor]) -> None:
    visitor = visitors(java_script_enabled=False)
    page = visitor.visit("/")
    expect(page.locator("#panel-metronome")).to_be_visible()
    page.fill("#metronome-steps", "2")
    page.click("#panel-metronome [type=submit]")
    expect(page.locator("h1")).to_have_text("Metronome")
    page.go_back()
    page.fill("#metronome-interval", "60")
    page.fill("#metronome-steps", "100000")
    page.click("#panel-metronome [type=submit]")
    expect(page.locator("main")).to_contain_text("at most 1200 (20 minutes) are allowed")
    visitor.complaints.clear()  # Chromium logs every answer of 400.


def test_what_the_node_refuses_is_told_at_the_form(gallery: Gallery) -> None:
    gallery.page.click("#tab-metronome")
    gallery.page.fill("#metronome-steps", "100000")
    gallery.page.fill("#metronome-interval", "60")
    gallery.page.click("#panel-metronome [type=submit]")
    expect(gallery.page.locator("#panel-metronome .wrong")).to_contain_text("20 minutes")
    expect(gallery.page.locator(".job")).to_have_count(0)
    gallery.visitor.complaints.clear()  # Chromium logs every answer of 400.


def test_too_large_a_file_is_told_before_it_is_sent(gallery: Gallery, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as large:
        large.truncate(33 * 1024 * 1024)
    gallery.page.click("#tab-import_csv")
    gallery.page.set_input_files("#import_csv-file", path)
    gallery.page.click("#panel-import_csv [type=submit]")
    expect(gallery.page.locator("#panel-import_csv .wrong")).to_contain_text("32 MiB may be sent")


def test_samples(gallery: Gallery) -> None:
    gallery.page.click("#tab-import_csv")
    gallery.page.click("[data-sample=import_csv]")
    card = gallery.start("import_csv")
    reach(widget(card), "SUCCESS")
    expect(card.locator(".result")).to_contain_text("rows249,978")


def test_all_by_keyboard(gallery: Gallery) -> None:
    gallery.page.focus("#tab-checksum_folder")
    gallery.page.keyboard.press("End")
    expect(gallery.page.locator("#tab-metronome")).to_be_focused()
    expect(gallery.page.locator("#panel-metronome")).to_be_visible()
    gallery.page.keyboard.press("ArrowRight")
    expect(gallery.page.locator("#tab-checksum_folder")).to_be_focused()
    gallery.page.keyboard.press("ArrowLeft")
    gallery.page.keyboard.press("Tab")
    expect(gallery.page.locator("#metronome-steps")).to_be_focused()
    gallery.page.keyboard.press("Enter")
    expect(gallery.page.locator(".job")).to_have_count(1)
