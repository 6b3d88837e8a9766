"""docs/security.md names only tests and counters that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) > 20
    written = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert named - written == set()


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"`((?:tests|docs)/[\w/.]+)`", TEXT))
    assert len(named) > 8
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_counter_that_is_named_is_counted() -> None:
    named = set(re.findall(r"`((?:limit|queue|refused)\.\w+)`", TEXT))
    sources = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "bridge").rglob("*.py"))
    missing = {name for name in named if f'"{name}"' not in sources}
    assert missing <= {"refused.bad_request"}, "that one is put together"
