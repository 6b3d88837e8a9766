"""The command `bridge`."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

import bridge
from bridge.cli import main
from tests.nodes import fresh_python, passes


def test_version() -> None:
    done = CliRunner().invoke(main, ["--version"])
    assert done.exit_code == 0
    assert bridge.__version__ in done.output


def test_help_names_all_commands_without_importing_them() -> None:
    passes("""
import sys
from click.testing import CliRunner
from bridge.cli import main
text = CliRunner().invoke(main, ["--help"]).output
assert all(name in text for name in ("demo", "serve", "watch", "token", "doctor")), text
loaded = {"redis", "flask", "socketio", "eventlet", "celery"} & set(sys.modules)
assert not loaded, loaded
""")


def test_serve_imports_nothing_that_a_patch_would_miss() -> None:
    passes("""
import sys
import bridge.cli
bridge.cli.main.get_command(None, "serve")
loaded = {"redis", "flask", "socketio", "celery", "kombu"} & set(sys.modules)
assert not loaded, loaded
""")


@pytest.mark.parametrize("command", ["demo", "serve", "watch", "token", "doctor"])
def test_each_command_explains_itself(command: str) -> None:
    done = CliRunner().invoke(main, [command, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output


def test_unknown_command() -> None:
    done = fresh_python("import sys; from bridge.cli import main; sys.argv[1:] = ['x']; main()")
    assert done.returncode == 2
    assert "No such command" in done.stderr
