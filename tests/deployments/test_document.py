"""docs/deployment.md tells the very lines that the tests ran, and tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.deployments.queues import QUEUES, RABBITMQ
from tests.deployments.ways import APP, OF_THEIR_OWN, QUICK, Way

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("way", [*QUICK, *OF_THEIR_OWN], ids=lambda way: way.name)
def test_its_lines_are_those_that_ran(way: Way) -> None:
    line = way.line.replace("PORT", "5000").replace("APP", APP).replace("VENV", "$VIRTUAL_ENV")
    assert f"`{way.name}`" in TEXT
    same_again = way.name.startswith("bridge serve,")
    assert f"`{line}`" in TEXT or (same_again and "the same" in TEXT)


@pytest.mark.parametrize("queue", [*QUEUES, RABBITMQ])
def test_every_message_queue_has_its_row(queue: str) -> None:
    assert re.search(rf"^\| .*\| `{queue}`", TEXT, re.MULTILINE)


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    written = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert named
    assert named - written == set()
    files = set(re.findall(r"`((?:tests|docs|docker)/[\w/.-]+)`", TEXT))
    assert [name for name in files if not (ROOT / name).exists()] == []
    confs = set(re.findall(r"^\| `([\w-]+\.conf)`", TEXT, re.MULTILINE))
    assert confs == {
        "single.conf", "ip-hash.conf", "cookie.conf", "prefix.conf", "tls.conf"
    }  # fmt: skip
