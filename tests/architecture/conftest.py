"""What the architecture tests look at: the repository's files, as git sees them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def pyproject(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def files(repository: Path) -> list[Path]:
    """Tracked files, and untracked ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=repository,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    paths = [repository / name for name in listed.split("\0") if name]
    assert paths, "git lists no files"
    return [path for path in paths if path.is_file()]


@pytest.fixture(scope="session")
def modules(files: list[Path], repository: Path) -> Callable[..., dict[str, Path]]:
    """Return the Python files under some top-level folders, by their path in the repository."""

    def under(*folders: str) -> dict[str, Path]:
        found = {
            path.relative_to(repository).as_posix(): path
            for path in files
            if path.suffix == ".py" and path.relative_to(repository).parts[0] in folders
        }
        assert found, f"no Python file under {folders}"
        return found

    return under
