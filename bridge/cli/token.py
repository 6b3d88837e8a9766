"""`bridge token`: signs permission to watch or cancel."""

from __future__ import annotations

import click

from bridge.errors import BridgeError
from bridge.settings import Settings
from bridge.tokens import ACTIONS, WATCH, Tokens


@click.command()
@click.argument("ident", metavar="JOB")
@click.option("--user", "scope", flag_value="user", help="JOB is a user: all jobs of that user.")
@click.option("--root", "scope", flag_value="root", help="JOB is a root: all jobs of a workflow.")
@click.option(
    "--action", "actions", multiple=True, type=click.Choice(ACTIONS), default=(WATCH,),
    show_default=True, help="What it allows; may be given twice.",
)  # fmt: skip
@click.option(
    "--expires", type=float, help="Seconds; default: BRIDGE_RETENTION to watch, 1 hour to cancel."
)
def token(ident: str, scope: str | None, actions: tuple[str, ...], expires: float | None) -> None:
    """Print a token for JOB, signed with BRIDGE_SECRET_KEY."""
    try:
        settings = Settings.load()
        tokens = Tokens(settings.require_secret(), seconds=settings.retention)
        subject = {scope or "jobs": ident}
        click.echo(tokens.issue(**subject, actions=actions, expires=expires))
    except (BridgeError, ValueError) as error:
        raise click.ClickException(str(error)) from None
