"""The tasks' own source, coloured, to stand beside their forms.

It is read, never imported: a web node needs nothing of what its workers need.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

FOLDER = Path(__file__).resolve().parent.parent / "workers"
OURS = frozenset({"push_progress", "progress"})


def task_sources(folder: Path = FOLDER) -> dict[str, Markup]:
    """Return how each task reports, as HTML, by the task's name.

    That is the task and what it hands its progress to, without their docstrings. The lines that
    speak to the bridge are marked. Where the workers' code isn't installed, there are none.

    Args:
        folder: where the tasks' modules are.
    """
    found: dict[str, Markup] = {}
    for path in sorted(folder.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        functions = [each for each in ast.parse(text).body if isinstance(each, ast.FunctionDef)]
        for task, name in _tasks(functions):
            shown = [each for each in functions if each is task or _takes_progress(each)]
            found[name] = _coloured(text.splitlines(), shown)
    return found


def _tasks(functions: list[ast.FunctionDef]) -> Iterator[tuple[ast.FunctionDef, str]]:
    for function in functions:
        for decorator in function.decorator_list:
            for keyword in getattr(decorator, "keywords", ()):
                if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                    yield function, str(keyword.value.value)


def _takes_progress(function: ast.FunctionDef) -> bool:
    arguments = [*function.args.args, *function.args.kwonlyargs]
    return any(argument.arg == "progress" for argument in arguments)


def _coloured(lines: list[str], functions: list[ast.FunctionDef]) -> Markup:
    kept: list[int] = []
    ours: set[int] = set()
    for function in functions:
        first = min([function.lineno, *(each.lineno for each in function.decorator_list)])
        skipped = _docstring(function)
        kept += [0] if kept else []
        kept += [n for n in range(first, (function.end_lineno or first) + 1) if n not in skipped]
        ours |= _lines_of_ours(function)
    text = "\n".join(lines[number - 1] if number else "" for number in kept)
    coloured = highlight(text, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    made = Markup("")
    for number, line in zip(kept, coloured.splitlines(), strict=False):
        made += Markup('<span class="{}">{}\n</span>').format(
            "ours" if number in ours else "", Markup(line)
        )
    return made


def _docstring(function: ast.FunctionDef) -> range:
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return range(0)
    return range(first.lineno, (first.end_lineno or first.lineno) + 1)


def _lines_of_ours(function: ast.FunctionDef) -> set[int]:
    """The lines of calls to the bridge: on `progress`, and on the stages that it opened."""
    names = OURS | {
        item.optional_vars.id
        for node in ast.walk(function)
        if isinstance(node, ast.With)
        for item in node.items
        if isinstance(item.optional_vars, ast.Name) and _root(item.context_expr) == "progress"
    }
    found: set[int] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and _root(node) in names:
            found.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if isinstance(node, ast.arg) and node.arg == "progress":
            found.add(node.lineno)
    return found


def _root(node: ast.AST) -> str:
    """The name at the left of a chain of calls and attributes."""
    while isinstance(node, ast.Call | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
