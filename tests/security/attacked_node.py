"""A program: a bare node that also tells what it has counted."""

from bridge.relay.patching import patch
from bridge.settings import Settings

patch(Settings.load().async_mode)

import logging  # noqa: E402
from typing import Any  # noqa: E402

from flask import jsonify  # noqa: E402

from bridge.relay.bare import bare_app  # noqa: E402
from bridge.relay.serving import serve  # noqa: E402

logging.basicConfig(level=logging.INFO)
app, bridge = bare_app()


@app.get("/counters")
def counters() -> object:
    relay: Any = bridge.relay
    if not hasattr(relay, "counters"):
        return jsonify(malformed=relay.malformed)
    return jsonify(relay.counters.as_dict())


serve(app, bridge)
