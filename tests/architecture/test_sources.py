"""Rules that are read off the sources, without running them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

Modules = Callable[..., dict[str, Path]]

PACKAGES = ("bridge", "workers", "web")
VAGUE = {"utils", "util", "common", "helpers", "helper", "core", "base", "misc", "t"}
OF_THE_ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}
MAX_LINES = 400


def nodes(path: Path) -> Iterator[ast.AST]:
    yield from ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))


def words(node: ast.AST) -> set[str]:
    """The identifiers that a node itself uses or imports."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return {name}
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return {part for alias in aliases for part in alias.name.split(".")}
        case _:
            return set()


def reads_environment(node: ast.AST) -> bool:
    """Tell os.environ and its like from the `environ` of a WSGI request."""
    match node:
        case ast.Attribute(value=ast.Name(id="os"), attr=name):
            return name in OF_THE_ENVIRONMENT
        case ast.ImportFrom(module="os", names=aliases):
            return any(alias.name in OF_THE_ENVIRONMENT for alias in aliases)
        case _:
            return False


def users_of(word: str, modules: dict[str, Path]) -> set[str]:
    return {name for name, path in modules.items() if any(word in words(n) for n in nodes(path))}


def test_only_patching_monkey_patches(modules: Modules) -> None:
    found = modules(*PACKAGES)
    patchers = users_of("monkey_patch", found) | users_of("patch_all", found)
    assert patchers == {"bridge/relay/patching.py"}


def test_only_settings_and_the_command_read_the_environment(modules: Modules) -> None:
    found = {name: p for name, p in modules("bridge").items() if not name.startswith("bridge/cli/")}
    readers = {name for name, path in found.items() if any(map(reads_environment, nodes(path)))}
    assert readers == {"bridge/settings.py"}


def test_only_the_command_prints(modules: Modules) -> None:
    printing = {
        name
        for name, path in modules(*PACKAGES).items()
        if not name.startswith("bridge/cli/")
        for node in nodes(path)
        if isinstance(node, ast.Call) and words(node.func) == {"print"}
    }
    assert not printing


def test_names_say_what_is_inside(files: list[Path], repository: Path) -> None:
    vague = {
        path.relative_to(repository).as_posix()
        for path in files
        for part in (*path.relative_to(repository).parent.parts, path.stem)
        if path.suffix in {".py", ".js", ".mjs", ".ts"} and part in VAGUE
    }
    assert not vague


def test_modules_are_short(modules: Modules) -> None:
    long = {
        name: lines
        for name, path in modules(*PACKAGES).items()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert not long


def test_tests_have_no_init_files(modules: Modules) -> None:
    assert not [name for name in modules("tests") if name.endswith("__init__.py")]
