"""The code that made a job, beside the form that starts it."""

from __future__ import annotations

import html
import re
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

import workers
from web.catalog import JobKind
from web.task_source import task_sources

FOLDER = Path(workers.__file__).parent


def kinds(app: Flask) -> list[JobKind]:
    return list(app.extensions["demo-catalog"].values())


def test_each_form_stands_beside_its_tasks_own_code(client: FlaskClient, app: Flask) -> None:
    page = client.get("/").text
    tasks = "\n".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.py")))
    for kind in kinds(app):
        form = page.index(f'data-job="{kind.name}"')
        code = page.index(f'aria-label="Source of {kind.task}"')
        others = [page.index(f'data-job="{other.name}"') for other in kinds(app) if other != kind]
        assert code > form
        assert not [other for other in others if form < other < code], "with its own form"
        lines = shown(page[code : page.index("</pre>", code)])
        assert f'name="{kind.task}"' in "".join(text for text, _ in lines)
        assert not [text for text, _ in lines if f"{text}\n" not in tasks]
        # What the bridge adds is marked, and no more.
        assert all(ours for text, ours in lines if re.search(r"progress\.\w+\(", text))
        assert not any(
            ours
            for text, ours in lines
            if text.lstrip().startswith(("return", "for ")) and "progress" not in text
        )


def shown(figure: str) -> list[tuple[str, bool]]:
    """The lines of a task's code, and which of them are marked."""
    found = re.findall(r'<span class="(ours)?">(.*?)\n</span>', figure, re.DOTALL)
    return [(html.unescape(re.sub("<[^>]*>", "", line)), bool(ours)) for ours, line in found]


def test_where_the_workers_code_is_not_there_are_the_forms_alone(
    client: FlaskClient, app: Flask, tmp_path: Path
) -> None:
    app.extensions["demo-sources"] = task_sources(tmp_path)
    page = client.get("/").text
    assert "Source of" not in page
    assert all(f'data-job="{kind.name}"' in page for kind in kinds(app))
