"""What a wheel ships: the library with the built widget, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def shipped(
    repository: Path, files: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, int]:
    """Build a wheel from a copy of the repository's files; return its files' sizes in bytes."""
    source = tmp_path_factory.mktemp("source")
    # A bundle that is current spares the build an npm install, as with a source archive.
    built = (repository / "bridge/static").glob("task-progress*.js")
    for path in [*files, *built]:
        target = source / path.relative_to(repository)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--skip-dependency-check"],
        cwd=source,
        env={**os.environ, "CI": "true"},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {item.filename: item.file_size for item in archive.infolist()}


pytestmark = pytest.mark.timeout(180)


def test_the_wheel_ships_only_the_library(shipped: dict[str, int]) -> None:
    tops = {name.split("/")[0] for name in shipped}
    (info,) = (top for top in tops if top.endswith(".dist-info"))
    assert tops == {"bridge", info}
    assert f"{info}/licenses/LICENSE" in shipped


def test_the_wheel_ships_the_built_widget_and_not_its_source(shipped: dict[str, int]) -> None:
    assert shipped["bridge/static/task-progress.js"] > 10_000
    assert shipped["bridge/static/task-progress.looks.js"] > 10_000
    assert not [name for name in shipped if name.startswith("bridge/widget/")]
    assert not [name for name in shipped if "node_modules" in name]


def test_the_wheel_ships_every_module_and_script(
    shipped: dict[str, int], files: list[Path], repository: Path
) -> None:
    expected = {
        path.relative_to(repository).as_posix()
        for path in files
        if path.is_relative_to(repository / "bridge")
        and not path.is_relative_to(repository / "bridge/widget")
        and path.suffix in {".py", ".lua", ".typed"}
    }
    assert expected <= set(shipped)
    assert "bridge/py.typed" in shipped
