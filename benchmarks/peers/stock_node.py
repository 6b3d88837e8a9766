"""Stock Flask-SocketIO as its users run it: one node with a Redis message queue.

Arguments: eventlet or gevent, port, Redis URL, channel, ping timeout in seconds.
"""

import sys

mode, port, url, channel, ping_timeout = sys.argv[1:]
if mode == "eventlet":
    import warnings

    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    import eventlet

    eventlet.monkey_patch()
else:
    from gevent import monkey

    monkey.patch_all()

import logging  # noqa: E402

from flask import Flask  # noqa: E402
from flask_socketio import SocketIO, join_room  # noqa: E402

logging.disable(logging.CRITICAL)
app = Flask(__name__)
socketio = SocketIO(
    app, async_mode=mode, message_queue=url, channel=channel, ping_timeout=int(ping_timeout)
)


@socketio.on("join")
def join(rooms: list[str]) -> dict[str, bool]:
    for room in rooms:
        join_room(room)
    return {"ok": True}


socketio.run(app, host="127.0.0.1", port=int(port))
