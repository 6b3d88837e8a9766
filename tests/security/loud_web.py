"""A program: the demo's web node, logging all that there is to log."""

from bridge.relay.patching import patch
from bridge.settings import Settings

patch(Settings.load().async_mode)

import logging  # noqa: E402

from bridge.relay.serving import serve  # noqa: E402
from web.app import create_app  # noqa: E402

logging.basicConfig(level=logging.DEBUG)
app = create_app()
app.logger.setLevel(logging.DEBUG)
for name in ("engineio.server", "socketio.server"):
    logging.getLogger(name).setLevel(logging.DEBUG)
serve(app, app.extensions["celery-bridge"])
