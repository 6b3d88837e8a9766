"""A Flask app of a user: one empty page, and the bridge."""

from bridge.relay.patching import patch
from bridge.settings import Settings

patch(Settings.load({}).async_mode)

from flask import Flask  # noqa: E402 - only in a patched process

from bridge import Bridge  # noqa: E402
from bridge.relay import serving  # noqa: E402

app = Flask(__name__)
bridge = Bridge(app)


@app.route("/")
def page() -> str:
    return "<!doctype html><title>bench</title><body></body>"


serving.serve(app, bridge)
