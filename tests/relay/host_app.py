"""A program: somebody's Flask app with a SocketIO of its own, and the bridge beside it."""

from bridge.relay.patching import patch

patch("eventlet")

import logging  # noqa: E402

from flask import Flask, request  # noqa: E402
from flask_socketio import SocketIO, emit  # noqa: E402

from bridge import Bridge  # noqa: E402
from bridge.relay.serving import serve  # noqa: E402

logging.basicConfig(level=logging.INFO)
app = Flask(__name__)
socketio = SocketIO(app, async_mode="eventlet")
bridge = Bridge(app)


@app.get("/page")
def page() -> str:
    return "a page of the host's"


@socketio.on("hello")
def hello(data: object) -> object:
    emit("greeting", {"sid": request.sid, "namespace": request.namespace})
    return {"heard": data}


serve(app, bridge, port=0)
