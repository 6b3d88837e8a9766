"""The command `bridge`.

This module imports click and nothing else: `bridge serve` must patch the standard library before
anything else is imported, so each subcommand is loaded when it is called.
"""

from __future__ import annotations

import importlib
from typing import Final

import click

_COMMANDS: Final = {
    "demo": "Run Redis, a worker and a web node here, to try it out.",
    "serve": "Run a bare web node.",
    "watch": "Follow a job in the terminal.",
    "token": "Print a token for a job, a user or a workflow.",
    "doctor": "Tell what is wrong with this setup, and the fix.",
}


class _LazyGroup(click.Group):
    """Loads a subcommand's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which people need them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"bridge.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup)
@click.version_option(package_name="celery-bridge", prog_name="bridge")
def main() -> None:
    """Live progress, events and outcome of Celery tasks in the browser.

    Settings are read from BRIDGE_* environment variables.
    """
