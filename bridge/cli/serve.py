"""`bridge serve`: a bare web node."""

from __future__ import annotations

from typing import Any

import click

from bridge.errors import BridgeError
from bridge.relay.patching import patch
from bridge.settings import ASYNC_MODES, Settings


@click.command()
@click.option("--host", help="Address to listen on; BRIDGE_HOST, else 127.0.0.1.")
@click.option("--port", type=int, help="Port; 0 finds a free one; BRIDGE_PORT, else 5000.")
@click.option("--async-mode", type=click.Choice(ASYNC_MODES), help="BRIDGE_ASYNC_MODE, eventlet.")
def serve(**options: Any) -> None:
    """Run a bare web node: the relay, its HTTP routes and the widget, no pages."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        patch(Settings.load(given).async_mode)
        _serve(given)
    except BridgeError as error:
        raise click.ClickException(str(error)) from None


def _serve(given: dict[str, Any]) -> None:
    # Only now, because all this must meet a patched standard library.
    import logging

    from bridge.relay import bare, serving

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    app, bridge = bare.bare_app(**given)
    serving.serve(app, bridge)
