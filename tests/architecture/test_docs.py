"""The documents' tables agree with the code, and their links lead somewhere."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import SettingsError
from bridge.settings import PREFIX, Settings

NOT_A_NUMBER = "not a number"
IN_OTHER_WORDS = {"journal": "the message queue"}  # None there means another setting's value


def rows(document: Path) -> list[list[str]]:
    """The cells of all tables' rows whose first cell is code."""
    lines = document.read_text(encoding="utf-8").splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("| `")
    ]


@pytest.fixture(scope="module")
def settings_table(repository: Path) -> dict[str, list[str]]:
    table = {row[0].strip("`"): row[1:] for row in rows(repository / "docs/settings.md")}
    return {name.removeprefix(PREFIX).lower(): row for name, row in table.items()}


def test_every_setting_is_told(settings_table: dict[str, list[str]]) -> None:
    assert list(settings_table) == [item.name for item in fields(Settings)]


def test_the_defaults_are_true(settings_table: dict[str, list[str]]) -> None:
    settings = Settings.load(environ={})
    wrong = {}
    for name, row in settings_table.items():
        told = row[0].strip("`")
        value = getattr(settings, name)
        if isinstance(value, bool):
            actual = str(value).lower()
        elif isinstance(value, int | float):
            actual = f"{value:.10g}"
        else:
            actual = value or IN_OTHER_WORDS.get(name, "none")
        if told != actual:
            wrong[name] = (told, actual)
    assert not wrong


def test_the_ranges_are_true(settings_table: dict[str, list[str]]) -> None:
    numbers = [f.name for f in fields(Settings) if str(f.type) in {"int", "float"}]
    assert len(numbers) > 5
    wrong = {}
    for name in numbers:
        with pytest.raises(SettingsError) as refused:
            Settings.load({name: NOT_A_NUMBER}, environ={})
        said = re.search(r"from (\S+) to (\S+) \(", str(refused.value))
        told = re.match(r"(\S+) to ([^;\s]+)", settings_table[name][2])
        assert said, str(refused.value)
        assert told, f"{name}: the table's range is not 'low to high'"
        if [float(end) for end in said.groups()] != [float(end) for end in told.groups()]:
            wrong[name] = (told[0], said[0])
    assert not wrong


def test_every_dependency_is_justified(pyproject: dict[str, Any], repository: Path) -> None:
    project = pyproject["project"]
    widget = json.loads((repository / "bridge/widget/package.json").read_text(encoding="utf-8"))
    lines = list(project["dependencies"]) + pyproject["build-system"]["requires"]
    for extra in project["optional-dependencies"].values():
        lines += extra
    names = {re.split(r"[\[<>=;~! ]", line)[0] for line in lines} - {project["name"]}
    names |= {*widget.get("dependencies", {}), *widget.get("devDependencies", {})}
    told = {row[0].strip("`"): row[1:] for row in rows(repository / "docs/dependencies.md")}
    assert set(told) == names
    assert all(all(cells) for cells in told.values())


def test_links_between_documents_lead_somewhere(files: list[Path]) -> None:
    broken = []
    for document in (path for path in files if path.suffix == ".md"):
        text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path = target.split("#")[0]
            if path and "://" not in path and not (document.parent / path).exists():
                broken.append(f"{document.name}: {target}")
    assert not broken
