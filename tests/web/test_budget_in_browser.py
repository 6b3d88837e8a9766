"""What every page keeps to in Chromium: accessible, light and dark, on a phone, small, still."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.web.visitor import Demo, Visitor, settle

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.redis]
PAGES = ("gallery", "jobs", "job", "playground", "sign-in", "refused")
REQUESTS = 20
BYTES = 180_000
LAYOUT_SHIFT = 0.01
LONG_TASK_MS = 50
#: A processor that is shared makes any task longer: of so many loads one must be good.
LOADS = 3

#: What a page is made of; what a list then holds is as long as the list.
LOADED = """
performance.getEntries().filter((entry) => "transferSize" in entry)
  .map(({ name, transferSize }) => [name, transferSize])
  .filter(([name]) => !name.includes("/demo/jobs?"))
"""
#: Begins with the document, and tells what moved.
OBSERVER = """
globalThis.shifts = [];
const told = ({ node }) => (node?.outerHTML ?? node?.textContent ?? "").slice(0, 120);
new PerformanceObserver((list) => {
  for (const { value, sources, hadRecentInput } of list.getEntries()) {
    if (!hadRecentInput) shifts.push([value, sources.map(told)]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""
#: What reads from the left wherever it stands: sentences in English, code, names of machines,
#: figures, what jobs say.
FROM_THE_LEFT = """
p, pre, code, textarea, time, figcaption, .amount, .rate, .age, .percent, .worker, .queue, .count,
.line .note, .note > bdi, .lane-told, .ticks text, .stages span, .facts dd, .result-text,
.error-type, .event-list b, .event-list span, .about-job .subject
"""
#: Those whose last letter does not stand right of the first.
TURNED = r"""
(selector) => {
  const shown = [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility());
  const at = (node, index) => {
    const range = document.createRange();
    range.setStart(node, index);
    range.setEnd(node, index + 1);
    return range.getBoundingClientRect();
  };
  const turned = (element) => {
    const walk = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      const first = node.data.search(/\S/);
      const line = node.data.slice(Math.max(0, first)).split("\n")[0].trimEnd();
      if (line.length < 2) continue;
      const [a, b] = [at(node, first), at(node, first + line.length - 1)];
      // What goes on in the next line can't be compared.
      if (a.width && b.width && Math.abs(a.top - b.top) < 2 && b.left <= a.left) return true;
    }
    return false;
  };
  return shown.filter(turned).map((each) => each.outerHTML.slice(0, 200));
}
"""


@pytest.fixture(scope="module")
def paths(running: Demo) -> dict[str, str]:
    """The pages' addresses; ann's list and job have something of everything."""
    worker = running.worker
    running.crowd("ann", 250)
    family = {"user": "ann", "root": "budget", "task": "tasks.import_rows", "queued_at": 1e9}
    stages = [
        {"name": "Reading", "current": 1, "total": 2, "weight": 0.4, "state": "SUCCESS"},
        {"name": "Storing", "current": 1, "total": 2, "weight": 0.6, "state": "PROGRESS"},
    ]
    error = {"type": "Hiccup", "message": "line 1\nline 2"}
    rest = {
        "stages": stages, "error": error, "result": {"rows": 5, "path": "/srv/in/"}, "meta": {},
        "worker": "w-1@host!", "queue": "(slow)",
    }  # fmt: skip
    worker.state("budget", "STARTED", **family, current=1, total=2)
    worker.event("budget", data={"line": 7, "why": "no number (twice)"})
    worker.state("budget-child", "STARTED", **family, parent="budget")
    worker.state(
        "budget", **family, current=1, total=2, unit="rows", rate=3, message="x" * 200, **rest
    )
    return {
        "gallery": "/", "jobs": "/jobs", "job": "/jobs/budget", "playground": "/playground",
        "sign-in": "/sign-in", "refused": "/nothing",
    }  # fmt: skip


@pytest.fixture
def look(
    visitors: Callable[..., Visitor], paths: dict[str, str]
) -> Iterator[Callable[..., Visitor]]:
    """Opens a page as ann, in a browser of her own."""

    def visit(name: str, **options: Any) -> Visitor:
        visitor = visitors(**options)
        visitor.context.add_init_script(OBSERVER)
        visitor.sign_in("ann")
        visitor.visit(paths[name])
        settle(visitor.page)
        if name == "refused":
            visitor.complaints.clear()  # Chromium logs the answer of 404.
        return visitor

    return visit


@pytest.mark.parametrize("name", PAGES)
def test_anybody_can_use_it_by_day_by_night_and_on_a_phone(
    look: Callable[..., Visitor], name: str
) -> None:
    visitor = look(name, color_scheme="light", viewport={"width": 1280, "height": 900})
    for scheme in ("light", "dark"):
        visitor.page.emulate_media(color_scheme=scheme)
        visitor.picture(f"{name}-{scheme}")
        assert visitor.accessibility_faults() == []
        assert (brightness(visitor.page) < 60) is (scheme == "dark")
    for width in (375, 320):
        visitor.page.set_viewport_size({"width": width, "height": 700})
        settle(visitor.page)
        visitor.picture(f"{name}-{width}")
        assert visitor.page.evaluate("document.documentElement.scrollWidth") == width
    assert visitor.accessibility_faults() == []


def brightness(page: Page) -> float:
    """How bright the page's ground is, 0 to 255."""
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", ground)[:3])) / 3


@pytest.mark.parametrize("name", PAGES)
def test_it_can_be_read_from_the_right(look: Callable[..., Visitor], name: str) -> None:
    visitor = look(name, viewport={"width": 1280, "height": 900})
    page = visitor.page
    page.evaluate("document.documentElement.dir = 'rtl'")
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        settle(page)
        visitor.picture(f"{name}-rtl-{width}")
        assert page.evaluate("[scrollX, document.documentElement.scrollWidth]") == [0, width]
        assert page.evaluate(TURNED, FROM_THE_LEFT) == []
        # Nothing can be measured in these.
        for field in page.locator("select[name], input.link-text, #q").all():
            assert field.get_attribute("dir") in ("auto", "ltr")


@pytest.mark.parametrize("name", PAGES)
def test_it_is_small_and_nothing_moves(look: Callable[..., Visitor], name: str) -> None:
    page = look(name).page
    loaded = page.evaluate(LOADED)
    assert len(loaded) <= REQUESTS, loaded
    assert sum(size for _, size in loaded) <= BYTES, loaded
    shifts = page.evaluate("shifts")
    assert sum(value for value, _ in shifts) <= LAYOUT_SHIFT, shifts


@pytest.mark.parametrize("name", PAGES)
def test_loading_it_never_keeps_the_browser_busy(
    chromium: Browser, visitors: Callable[..., Visitor], paths: dict[str, str], name: str
) -> None:
    busiest: list[float] = []
    for _ in range(LOADS):
        visitor = visitors()
        visitor.sign_in("ann")
        chromium.start_tracing(page=visitor.page, categories=["toplevel"])
        visitor.visit(paths[name])
        settle(visitor.page)
        busiest.append(max(busy_milliseconds(json.loads(chromium.stop_tracing()))))
        visitor.complaints.clear()
        if busiest[-1] <= LONG_TASK_MS:
            return
    pytest.fail(f"the longest tasks took {busiest} ms of the processor")


def busy_milliseconds(trace: Any) -> list[float]:
    """What each task of a page's main thread took of the processor, whatever else ran there."""
    events = trace["traceEvents"]
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    return [
        event["tdur"] / 1000
        for event in events
        if "tdur" in event and (event["pid"], event["tid"]) in threads
    ]
