"""The page `/playground` in Chromium."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.web.visitor import Visitor, reach

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.redis]


def test_markup_and_style_are_followed_as_they_are_typed(visitor: Visitor) -> None:
    page = visitor.visit("/playground")
    element = page.locator("#stage task-progress")
    expect(element).to_contain_text("Import customers")
    page.fill(
        "#markup", '<task-progress label="Other" size="row" onclick="alert(1)"></task-progress>'
    )
    expect(element).to_have_attribute("size", "row")
    expect(element).to_contain_text("Other")
    expect(page.locator("#markup-told")).to_contain_text("onclick")
    assert element.get_attribute("onclick") is None
    page.fill("#markup", "<task-progress label='half")
    expect(page.locator("#markup-told")).to_contain_text("no complete")
    expect(element).to_contain_text("Other")
    page.fill(
        "#sheet", "task-progress { --task-progress-running: rgb(1, 2, 3); } body { color: red }"
    )
    style = "each => getComputedStyle(each).getPropertyValue('--task-progress-running').trim()"
    assert element.evaluate(style) == "rgb(1, 2, 3)"
    assert page.evaluate("getComputedStyle(document.body).color") != "rgb(255, 0, 0)"


def test_recorded_states_and_real_jobs(visitor: Visitor) -> None:
    page = visitor.visit("/playground")
    element = page.locator("#stage task-progress")
    for name, text in (
        ("Failed", "Failed"),
        ("Waiting", "Waiting to start"),
        ("Worker lost", "lost"),
        ("Offline", "Reconnecting"),
        ("No permission", "No permission"),
        ("Link expired", "Link expired"),
        ("Running", "3.2 of 8.1 GB"),
    ):
        page.get_by_role("button", name=name, exact=True).click()
        expect(element).to_contain_text(text)
    page.get_by_role("button", name="Fails for good").click()
    reach(element, "FAILURE")
    assert 'job="' in page.locator("#markup").input_value()
    page.get_by_role("button", name="Done", exact=True).click()
    expect(element).to_contain_text("Done")
    assert 'job="' not in page.locator("#markup").input_value()


def test_the_log_of_a_real_job(visitor: Visitor) -> None:
    page = visitor.visit("/playground")
    page.select_option("#log", "100")
    page.get_by_role("button", name="Runs for 20 seconds").click()
    expect(page.locator("#stage").get_by_text("step").first).to_be_visible()
    assert 'log="100"' in page.locator("#markup").input_value()
    page.locator("#stage").get_by_role("button", name="Cancel").click()
    reach(page.locator("#stage task-progress"), "REVOKED")


def test_many_jobs(visitor: Visitor) -> None:
    page = visitor.visit("/playground")
    page.get_by_role("button", name="Many jobs").click()
    rows = page.locator("#stage task-list [part~=row][part~=job]")
    expect(rows).to_have_count(8)
    page.fill("#markup", '<task-list filter="warehouse" size="row"></task-list>')
    expect(rows).to_have_count(2)
    expect(page.locator("#markup-told")).to_contain_text("size")
    page.get_by_role("button", name="Done", exact=True).click()
    expect(page.locator("#stage task-progress")).to_contain_text("Done")
    expect(page.locator("#stage task-list")).to_have_count(0)


def test_without_a_script_the_states_are_shown(visitors: Callable[..., Visitor]) -> None:
    visitor = visitors(java_script_enabled=False)
    page = visitor.visit("/playground")
    expect(page.locator(".specimens .standing")).to_have_count(8)
    expect(page.locator(".specimens")).to_contain_text("3.2 of 8.1 GB")
    expect(page.locator("pre").first).to_contain_text("<task-progress")
    expect(page.locator("button:visible")).to_have_count(0)
    visitor.picture("playground-without-a-script")


def test_what_is_around_the_element(visitor: Visitor) -> None:
    page = visitor.visit("/playground")
    stage = page.locator("#stage")
    wide = stage.bounding_box()["width"]
    page.select_option("#direction", "rtl")
    page.select_option("#scheme", "dark")
    page.select_option("#language", "de")
    page.locator("#width").fill("40")
    assert stage.bounding_box()["width"] < wide / 2
    assert stage.evaluate("each => getComputedStyle(each).colorScheme") == "dark"
    assert 'lang="de"' in page.locator("#markup").input_value()
