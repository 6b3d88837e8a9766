"""Entry of the web node, `python -m web`. It patches before anything else is imported."""

from __future__ import annotations

import sys

from bridge.errors import BridgeError
from bridge.relay.patching import patch
from bridge.settings import Settings


def main() -> None:
    """Serve the web node until SIGTERM or SIGINT.

    Raises:
        SystemExit: a setting is bad or the port is in use; the message says so.
    """
    try:
        patch(Settings.load().async_mode)
        _serve()
    except BridgeError as error:
        sys.exit(f"Error: {error}")


def _serve() -> None:
    # Only now, because all this must meet a patched standard library.
    import logging

    from bridge.relay import serving
    from web.app import create_app

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    app = create_app()
    app.extensions["demo-uploads"].sweep_regularly()
    serving.serve(app, app.extensions["celery-bridge"])


if __name__ == "__main__":
    main()
