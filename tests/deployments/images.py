"""Does what a Dockerfile says, without Docker: each stage is a folder, each base a clean Python."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
#: The folders at the top of an image that our commands name.
_OURS = re.compile(r"(?<![\w./-])/(app|src|srv|wheels)(?=[/\s\"']|$)")


@dataclass
class Stage:
    """A stage: what it is made from, and its instructions."""

    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def last(self, kind: str) -> str:
        """The rest of the last instruction of a kind."""
        return [rest for name, rest in self.instructions if name == kind][-1]

    def command(self, kind: str = "CMD") -> list[str]:
        """The words of CMD or HEALTHCHECK."""
        rest = self.last(kind)
        return list(json.loads(rest[rest.index("[") :]))


def stages(text: str) -> dict[str, Stage]:
    """Read a Dockerfile."""
    found: dict[str, Stage] = {}
    stage = None
    lines = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(str.strip, lines.splitlines()):
        kind, _, rest = line.strip().partition(" ")
        if kind == "FROM":
            base, _, name = rest.split()
            stage = found[name] = Stage(name, base)
        elif stage is not None:
            stage.instructions.append((kind, rest))
    return found


class Builder:
    """Builds stages into folders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stages = stages(DOCKERFILE.read_text())
        self._python = folder / "python"
        venv.create(self._python, with_pip=True)

    def build(self, name: str) -> Path:
        """Return the folder that stands for the root of a stage's image."""
        root = self._folder / name
        if root.exists():
            return root
        root.mkdir()
        for kind, rest in self._with_ancestors(self._stages[name]):
            if kind == "COPY":
                self._copy(root, rest)
            elif kind == "RUN" and not rest.startswith("useradd"):
                self._run(root, rest)
        return root

    def environment(self, root: Path) -> dict[str, str]:
        """What the processes of an image see, the settings aside."""
        home = f"{root}/app/bin:{self._python}/bin:/usr/local/bin:/usr/bin:/bin"
        kept = {k: v for k, v in os.environ.items() if k.startswith("PIP_") or k.endswith("_PROXY")}
        return {**kept, "PATH": home, "HOME": str(root), "npm_config_cache": str(root / "npm")}

    def _with_ancestors(self, stage: Stage) -> Iterator[tuple[str, str]]:
        if stage.base in self._stages:
            yield from self._with_ancestors(self._stages[stage.base])
        yield from stage.instructions

    def _copy(self, root: Path, rest: str) -> None:
        *sources, target = rest.split()
        place = root / target.removeprefix("/") if target.startswith("/") else root / "src" / target
        if sources[0].startswith("--from="):
            other = self.build(sources.pop(0).removeprefix("--from="))
            (source,) = (other / each.removeprefix("/") for each in sources)
            if not place.exists():
                place.symlink_to(source)  # an environment knows where it lies
            return
        for each in sources:
            source = ROOT / each
            if source.is_dir():
                ignored = shutil.ignore_patterns("node_modules", "__pycache__", "*.js.map")
                shutil.copytree(source, place, dirs_exist_ok=True, ignore=ignored)
            else:
                into = place / source.name if target.endswith("/") else place
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, into)

    def _run(self, root: Path, command: str) -> None:
        (root / "src").mkdir(exist_ok=True)
        placed = _OURS.sub(lambda match: f"{root}/{match[1]}", command)
        done = subprocess.run(
            ["sh", "-ec", placed], cwd=root / "src", env=self.environment(root),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"RUN {placed}\n{done.stdout[-4000:]}"


def in_image(root: Path, words: list[str]) -> list[str]:
    """A command of an image, as this machine starts it."""
    program = root / "app" / "bin" / words[0]
    assert program.exists(), f"{words[0]} is not in the image; there is {sys.executable} outside"
    return [str(program), *words[1:]]
