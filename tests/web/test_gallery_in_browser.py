"""The page `/` in Chromium, on a whole demo: real jobs on a real worker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import missing, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.redis]
ARTEFACTS = Path(__file__).parents[2] / "test-artefacts"
AXE = Path(__file__).parents[2] / "bridge/widget/node_modules/axe-core/axe.min.js"
COMMAND = "from bridge.cli import main; main(prog_name='bridge')"
PATIENCE_MS = 20_000


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of a demo that runs."""
    log = tmp_path_factory.mktemp("demo") / "log"
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("BRIDGE_", "DEMO_"))}
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "demo"],
            env={**environ, "BRIDGE_PORT": "0"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    found: list[str] = []

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        found[:] = re.findall(r"is ready: (http://\S+/) ", log.read_text())
        return bool(found)

    try:
        wait_until(ready, seconds=50, what="the demo's URL")
        yield found[0]
    finally:
        process.terminate()
        process.wait(20)


class Gallery:
    """The page, and what it should never do: complain, or ask anybody else."""

    def __init__(self, chromium: Browser, url: str, **options: Any) -> None:
        self.url = url
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.context = chromium.new_context(**options)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)
        defined = "Boolean(customElements.get('task-progress'))"
        wait_until(lambda: self.page.evaluate(defined), what="the widget")

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

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
        expect(cards).to_have_count(before + 1, timeout=PATIENCE_MS)
        return cards.first

    def picture(self, name: str) -> None:
        ARTEFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTEFACTS / f"gallery-{name}.png", full_page=True)


@pytest.fixture
def gallery(chromium: Browser, url: str) -> Iterator[Gallery]:
    made = Gallery(chromium, url)
    yield made
    made.picture("last")
    made.context.close()
    assert made.complaints == []
    assert [each for each in made.requests if not each.startswith(url)] == []


def file(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "mimeType": "text/plain", "buffer": content}


def accessibility_faults(page: Page) -> list[Any]:
    """What axe-core finds; it comes with the widget's development packages."""
    if not AXE.exists():
        missing("axe-core", "run npm ci in bridge/widget")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]


def state_of(card: Any) -> str:
    found = card.locator("task-progress").evaluate("each => each.state?.state ?? 'unknown'")
    return str(found)


def reach(card: Any, state: str) -> None:
    wait_until(lambda: state_of(card) == state, seconds=25, what=f"{state}: {state_of(card)}")


def test_checksum(gallery: Gallery) -> None:
    card = gallery.start("checksum_folder")
    reach(card, "SUCCESS")
    expect(card.locator(".result")).to_contain_text("sha256:")


def test_import_tells_each_row_that_does_not_fit(gallery: Gallery) -> None:
    evil = b"a,b\n1,2\n3\n<img src=x onerror=alert(1)>,2,3\n"
    card = gallery.start("import_csv", [file("<b>rows</b>.csv", evil)])
    reach(card, "SUCCESS")
    expect(card.locator(".events li")).to_have_count(2)
    expect(card.locator(".events")).to_contain_text("row_rejected")
    expect(card.locator(".events")).to_contain_text("line 3 · reason 1 column where the header")
    expect(card.locator(".result")).to_contain_text("rejected2")
    expect(card.locator(".subject")).to_have_text("<b>rows</b>.csv")
    assert card.locator("b").all_inner_texts() == ["row_rejected", "row_rejected"]


def test_words_of_several_texts(gallery: Gallery) -> None:
    card = gallery.start("count_words", [file("1.txt", b"a b c"), file("2.txt", b"a")])
    reach(card, "SUCCESS")
    expect(card.locator(".events li")).to_have_count(2)
    expect(card.locator(".result")).to_contain_text("top" + "a 2 · b 1 · c 1")


def test_retry_then_failure(gallery: Gallery) -> None:
    card = gallery.start("flaky", failures="1", countdown="1.5", outcome="failure")
    reach(card, "RETRY")
    expect(card.locator("task-progress")).to_contain_text("Hiccup")
    reach(card, "FAILURE")
    expect(card.locator("task-progress")).to_contain_text(
        "attempt 2 of 2 failed, as asked: none is left"
    )
    expect(card.locator(".result")).to_be_hidden()


def test_a_job_is_cancelled_by_keyboard(gallery: Gallery) -> None:
    card = gallery.start("metronome", steps="600")
    reach(card, "PROGRESS")
    card.get_by_role("button", name="Cancel Metronome").focus()
    gallery.page.keyboard.press("Space")
    reach(card, "REVOKED")
    expect(card.locator("task-progress")).to_contain_text("Cancelled")
    expect(card.get_by_role("button", name="Cancel")).to_have_count(0)
    gallery.page.click("#forget")
    expect(gallery.page.locator("#empty")).to_be_visible()


def test_a_retry_that_waits_is_cancelled(gallery: Gallery) -> None:
    card = gallery.start("flaky", failures="1", countdown="2")
    reach(card, "RETRY")
    card.get_by_role("button", name="Cancel").click()
    expect(card.locator("task-progress")).to_contain_text("Cancelling")
    reach(card, "REVOKED")


def test_after_a_reload_the_jobs_are_there_and_go_on(gallery: Gallery) -> None:
    first = gallery.start("metronome", steps="60", interval="0.05")
    reach(first, "PROGRESS")
    gallery.start("metronome", steps="1", interval="0")
    gallery.page.reload()
    cards = gallery.page.locator(".job")
    expect(cards).to_have_count(2)
    reach(cards.nth(0), "SUCCESS")
    reach(cards.nth(1), "PROGRESS")
    reach(cards.nth(1), "SUCCESS")
    expect(cards.nth(1).locator(".events li")).to_have_count(10)


def test_finished_jobs_can_be_forgotten(gallery: Gallery) -> None:
    forget = gallery.page.locator("#forget")
    expect(forget).to_be_hidden()
    reach(gallery.start("metronome", steps="1", interval="0"), "SUCCESS")
    running = gallery.start("metronome", steps="100", interval="0.05")
    reach(running, "PROGRESS")
    forget.click()
    expect(gallery.page.locator(".job")).to_have_count(1)
    gallery.page.reload()
    expect(gallery.page.locator(".job")).to_have_count(1)
    gallery.page.locator(".job .forget").click()
    expect(gallery.page.locator("#empty")).to_be_visible()


def test_what_the_node_refuses_is_told_at_the_form(gallery: Gallery) -> None:
    gallery.page.click("#tab-metronome")
    gallery.page.fill("#metronome-steps", "100000")
    gallery.page.fill("#metronome-interval", "60")
    gallery.page.click("#panel-metronome [type=submit]")
    expect(gallery.page.locator("#panel-metronome .wrong")).to_contain_text("20 minutes")
    expect(gallery.page.locator(".job")).to_have_count(0)
    gallery.complaints.clear()  # Chromium logs every answer of 400.


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
    reach(card, "SUCCESS")
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


def test_a_stranger_s_storage_does_no_harm(gallery: Gallery) -> None:
    for text in ("{", "5", '[null, 5, {"job": 1}, {"job": "x"}]', '{"a": []}'):
        gallery.page.evaluate("text => localStorage.setItem('celery-bridge.jobs', text)", text)
        gallery.page.reload()
        expect(gallery.page.locator("#empty")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}}),
        ("dark", {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}}),
        ("phone", {"color_scheme": "light", "viewport": {"width": 320, "height": 700}}),
    ],
)
def test_it_fits_and_looks_right(
    chromium: Browser, url: str, name: str, options: dict[str, Any]
) -> None:
    gallery = Gallery(chromium, url, **options)
    reach(gallery.start("import_csv", [file("rows.csv", b"a,b\n1,2\n3\n")]), "SUCCESS")
    reach(gallery.start("flaky", failures="0", outcome="failure"), "FAILURE")
    reach(gallery.start("flaky", failures="1", countdown="30"), "RETRY")
    reach(gallery.start("metronome", steps="60"), "PROGRESS")
    gallery.page.evaluate("scrollTo(0, 0)")
    gallery.picture(name)
    assert accessibility_faults(gallery.page) == []
    assert (
        gallery.page.evaluate("document.documentElement.scrollWidth")
        == options["viewport"]["width"]
    )
    ground = gallery.page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", ground)[:3])) / 3
    assert (brightness < 60) is (name == "dark")
    gallery.context.close()
    assert gallery.complaints == []
