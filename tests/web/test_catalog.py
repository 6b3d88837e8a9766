"""What the web node promises, the workers keep: they don't import each other."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Any

import pytest

from bridge.settings import Settings
from web import demo, uploads
from web.catalog import MAX_DURATION_SECONDS, catalog
from web.fields import Number
from web.settings import DemoSettings
from workers import app as worker_app
from workers import flaky, folders, metronome
from workers.uploads import uploads_folder

FOLDERS = (sysconfig.get_path("stdlib"),)


def number(job: str, name: str) -> Number:
    [field] = [field for field in catalog(FOLDERS)[job].fields if field.name == name]
    assert isinstance(field, Number)
    return field


def test_every_task_is_one_of_the_workers_and_takes_these_arguments() -> None:
    celery = worker_app.make_app(Settings())
    celery.loader.import_default_modules()
    for kind in catalog(FOLDERS).values():
        task: Any = worker_app.app.tasks[kind.task]
        values = {field.name: field.default for field in kind.fields}
        saved = [("0" * 32, "name")] * (1 if kind.files else 0)
        task.__header__(**kind.arguments(values, saved))


def test_the_bounds_are_the_same() -> None:
    assert number("metronome", "steps").high == metronome.MAX_STEPS
    assert number("metronome", "interval").high == metronome.MAX_INTERVAL_SECONDS
    assert MAX_DURATION_SECONDS == metronome.MAX_DURATION_SECONDS
    assert number("flaky", "failures").high == flaky.MAX_FAILURES
    assert number("flaky", "countdown").high == flaky.MAX_COUNTDOWN_SECONDS


def test_both_use_one_queue_and_one_folder(tmp_path: Path) -> None:
    assert demo.QUEUE == worker_app.QUEUE
    for environ in ({}, {"DEMO_UPLOADS": str(tmp_path)}):
        assert DemoSettings.load(environ).uploads == uploads_folder(environ)
    environ = {"DEMO_FOLDERS": str(tmp_path)}
    assert [str(f) for f in folders.allowed_folders(environ)] == list(
        DemoSettings.load(environ).folders
    )
    assert uploads.KEPT_SECONDS > worker_app.VISIBILITY_SECONDS + worker_app.HARD_LIMIT_SECONDS


@pytest.mark.parametrize(
    "environ", [{"DEMO_FOLDERS": "relative"}, {"DEMO_UPLOADS": "relative/folder"}]
)
def test_settings_that_are_wrong_are_named(environ: dict[str, str]) -> None:
    [variable] = environ
    with pytest.raises(ValueError, match=f"{variable}='relative.*absolute path"):
        DemoSettings.load(environ)
