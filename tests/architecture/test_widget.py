"""The built widget is what the documentation, the node and the package's build take it for."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from bridge.relay.widget import PARTS, WIDGET

#: A row of "What a page loads": file, kilobytes gzipped, budget.
ROW = re.compile(r"^\| `(task-progress[\w.]*\.js)` \| ([\d.]+) \| (\d+) \|", re.MULTILINE)
#: Figures are rounded, and one zlib packs a little better than another.
TOLERANCE_KB = 0.15


@pytest.fixture(scope="module")
def kilobytes(repository: Path) -> dict[str, float]:
    """What each file comes to, gzipped."""
    built = (repository / "bridge" / "static").glob(f"{WIDGET}*.js")
    return {path.name: len(gzip.compress(path.read_bytes(), 9)) / 1000 for path in built}


def test_what_a_page_loads_is_told_as_it_is(repository: Path, kilobytes: dict[str, float]) -> None:
    page = (repository / "docs" / "widget.md").read_text(encoding="utf-8")
    told = {name: (float(size), float(most)) for name, size, most in ROW.findall(page)}
    assert set(told) == set(kilobytes)
    for name, (size, most) in told.items():
        assert kilobytes[name] == pytest.approx(size, abs=TOLERANCE_KB), name
        assert kilobytes[name] <= most, name
    (first,) = re.findall(r"first bar of a page costs ([\d.]+) kB in one file", page)
    assert float(first) == told[f"{WIDGET}.js"][0]
    (peer,) = re.findall(r"with an element it is ([\d.]+) kB in two files", page)
    two = sum(kilobytes[f"{WIDGET}.{part}.js"] for part in ("peer", "looks"))
    assert float(peer) == pytest.approx(two, abs=TOLERANCE_KB)


def test_a_node_serves_and_a_build_makes_the_same_parts(
    repository: Path, kilobytes: dict[str, float]
) -> None:
    assert set(kilobytes) == {f"{WIDGET}.js", *(f"{WIDGET}.{part}.js" for part in PARTS)}
    (made,) = re.findall(
        r"^PARTS = \((.*)\)$", (repository / "hatch_build.py").read_text(), re.MULTILINE
    )
    assert set(re.findall(r'"(\w+)"', made)) == PARTS
