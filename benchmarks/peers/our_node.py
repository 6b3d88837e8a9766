"""What `bridge serve` runs, with another ping timeout. Argument: that, in seconds."""

import sys

from bridge.relay.patching import patch
from bridge.settings import Settings

patch(Settings.load({}).async_mode)

from bridge.relay import bare, serving  # noqa: E402 - only in a patched process

app, bridge = bare.bare_app()
bridge.socketio.server.eio.ping_timeout = int(sys.argv[1])
serving.serve(app, bridge)
