"""Make the pictures and the recording of the README from a demo that runs: `make pictures`."""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.conftest import CHROMIUM_OPTIONS, RedisServer, chromium_program, wait_until  # noqa: E402
from tests.web.visitor import Demo, Visitor, reach, running_demo  # noqa: E402

FOLDER = Path(__file__).parent
SIZE = {"width": 1120, "height": 720}
WIDE = {"width": 1280, "height": 760}
RECORDED = (840, 540)
COLOURS = 224
FRAME_SECONDS = 0.12
LAST_SECONDS = 2.5


class Recording:
    """A page, frame by frame, as an animated picture."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.times: list[float] = []

    def frame(self) -> None:
        """Take the page as it is now."""
        taken = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        self.frames.append(taken.resize(RECORDED, Image.Resampling.LANCZOS))
        self.times.append(time.monotonic())

    def roll(self, seconds: float) -> None:
        """Take it again and again for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begun = time.monotonic()
            self.frame()
            self.page.wait_for_timeout(max(1, (FRAME_SECONDS - (time.monotonic() - begun)) * 1000))

    def save(self, path: Path) -> None:
        """Write all frames with the palette of one picture that has them all in it."""
        step = max(1, len(self.frames) // 12)
        sheet = Image.new("RGB", (RECORDED[0], RECORDED[1] * len(self.frames[::step])))
        for number, frame in enumerate(self.frames[::step]):
            sheet.paste(frame, (0, RECORDED[1] * number))
        # By coverage: by frequency the greys would take it all.
        palette = sheet.quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
        drawn = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in self.frames]
        lengths = [int((b - a) * 1000) for a, b in zip(self.times, self.times[1:], strict=False)]
        drawn[0].save(
            path, save_all=True, append_images=drawn[1:], loop=0, optimize=True, disposal=1,
            duration=[*lengths, int(LAST_SECONDS * 1000)],
        )  # fmt: skip


def record(chromium: Browser, demo: Demo) -> None:
    """A guest starts jobs, watches them, and looks closer at one."""
    visitor = Visitor(chromium, demo, viewport=SIZE, color_scheme="light")
    page = visitor.visit("/?show=flaky")
    recording = Recording(page)
    recording.roll(0.6)
    page.click("#panel-flaky [type=submit]")
    recording.roll(1.2)
    page.click("#tab-metronome")
    page.fill("#metronome-steps", "60")
    recording.roll(0.4)
    page.click("#panel-metronome [type=submit]")
    page.evaluate("document.querySelector('#jobs-title').scrollIntoView({behavior: 'smooth'})")
    recording.roll(4.5)
    page.locator(".job .more").last.click()
    page.wait_for_load_state()
    recording.roll(2.5)
    recording.save(FOLDER / "demo.gif")
    visitor.leave()


def picture(visitor: Visitor, name: str) -> None:
    """Take the page in light and in dark."""
    for scheme in ("light", "dark"):
        visitor.page.emulate_media(color_scheme=scheme)
        visitor.page.wait_for_timeout(400)
        taken = Image.open(io.BytesIO(visitor.page.screenshot())).convert("RGB")
        taken.quantize(192, dither=Image.Dither.NONE).save(
            FOLDER / f"{name}-{scheme}.png", optimize=True
        )


def jobs_and_job(chromium: Browser, demo: Demo) -> None:
    """The list of many jobs, and a job that was tried three times."""
    demo.crowd("ann", 400)
    visitor = Visitor(chromium, demo, viewport=WIDE)
    visitor.sign_in("ann")
    tried = visitor.start("flaky", failures=2, countdown=1.5)
    visitor.start("flaky", failures=1, countdown=60)
    ticking = visitor.start("metronome", steps=1200, interval=0.1)
    visitor.start("flaky", failures=0, outcome="failure")
    visitor.start("checksum_folder")
    page = visitor.visit(f"/jobs/{tried}")
    reach(page.locator("task-progress"), "SUCCESS")
    wait_until(lambda: page.locator(".lane").count() == 4, what="the timeline")
    picture(visitor, "job")
    page = visitor.visit("/jobs")
    row = page.locator(f'#rows [data-job="{ticking}"] .percent')
    wait_until(lambda: row.inner_text() not in ("", "0%", "1%"), what="the metronome")
    picture(visitor, "jobs")
    visitor.page.request.post(f"{demo.url}/bridge/jobs/{ticking}/cancel")
    visitor.leave()


def main() -> None:
    """Make them all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        redis = RedisServer(folder)
        options: dict[str, Any] = {
            "executable_path": chromium_program(), "args": CHROMIUM_OPTIONS,
        }  # fmt: skip
        try:
            with running_demo(redis, folder) as demo, sync_playwright() as playwright:
                chromium = playwright.chromium.launch(**options)
                record(chromium, demo)
                jobs_and_job(chromium, demo)
                chromium.close()
        finally:
            redis.stop()


if __name__ == "__main__":
    main()
