"""What pages are made of, for those who hear them: compared with what is kept in `structure`.

Figures, times and names that differ each time are masked. ``UPDATE=1`` keeps what is seen now.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.web.visitor import Visitor, reach, settle

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.redis]
KEPT = Path(__file__).parent / "structure"
#: (what differs each time, what stands for it)
MASKS = (
    # The tasks' source is theirs, not the page's.
    (r"(?<=- code: ).{100,}$", "SOURCE"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID"),
    (r"(?<=code: )\"[0-9a-f]{8}\"$", "ID"),
    (r"\b[0-9a-f]{8}\b", "ID"),
    (r"guest-[0-9a-f]+", "GUEST"),
    (r"[\w.-]+@[\w.-]+", "WORKER"),
    (r"(?<=option \")/[^\"]+", "PATH"),
    (r"\d+:\d\d:\d\d\s[AP]M", "TIME"),
    (r"\d[\d.,]*\s(ms|sec|min|hr|day)s?(\s\d+\s(sec|min|hr))?\b", "LONG"),
    # Said only of what took a second.
    (r", took LONG", ""),
    (r"(?<!level=)\b\d[\d.,]*\b", "0"),
)


def test_pages_are_made_of_what_they_were(visitor: Visitor) -> None:
    job = visitor.start("metronome", steps=1, interval=0)
    reach(visitor.visit(f"/jobs/{job}").locator("task-progress"), "SUCCESS")
    paths = {
        "gallery": "/", "jobs": "/jobs", "job": f"/jobs/{job}", "sign-in": "/sign-in",
        "playground": "/playground",
    }  # fmt: skip
    seen = {name: structure(visitor.visit(path)) for name, path in paths.items()}
    if os.environ.get("UPDATE"):
        for name, text in seen.items():
            (KEPT / f"{name}.yml").write_text(text, encoding="utf-8")
    for name, text in seen.items():
        kept = (KEPT / f"{name}.yml").read_text(encoding="utf-8")
        assert text == kept, f"if that is meant: UPDATE=1, and read the diff of {name}.yml"


def structure(page: Page) -> str:
    """What the page is made of, without what differs each time."""
    settle(page)
    seen = page.locator("body").aria_snapshot()
    for what, instead in MASKS:
        seen = re.sub(what, instead, seen, flags=re.MULTILINE)
    return seen + "\n"
