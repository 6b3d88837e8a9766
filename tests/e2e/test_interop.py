"""Stock python-socketio processes and ours understand each other on the base channel."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from tests.conftest import wait_until
from tests.e2e.conftest import ROOT, Stack
from tests.nodes import SECRET, Client, Node, read_until

pytestmark = [pytest.mark.e2e, pytest.mark.redis]

STOCK_NODE = """
    import eventlet; eventlet.monkey_patch()
    import os, sys, logging
    from flask import Flask
    from flask_socketio import SocketIO, join_room
    import eventlet.wsgi
    app = Flask("stock")
    queue, channel = os.environ["BRIDGE_MESSAGE_QUEUE"], os.environ["BRIDGE_CHANNEL"]
    socketio = SocketIO(app, async_mode="eventlet", message_queue=queue, channel=channel)
    @socketio.on("enter", namespace="/chat")
    def enter(room):
        join_room(room)
        return True
    listener = eventlet.listen(("127.0.0.1", 0))
    url = "http://127.0.0.1:%d" % listener.getsockname()[1]
    print("listening on", url, file=sys.stderr, flush=True)
    eventlet.wsgi.server(listener, app, log=open(os.devnull, "w"))
"""

STOCK_EMITTER = """
    import sys
    from flask_socketio import SocketIO
    queue, channel, room, namespace = sys.argv[1:]
    socketio = SocketIO(message_queue=queue, channel=channel, async_mode="threading")
    socketio.emit("from_stock", {"hello": "é"}, to=room, namespace=namespace)
"""


def emit_as_stock(stack: Stack, room: str, namespace: str) -> None:
    settings = stack.settings
    program = textwrap.dedent(STOCK_EMITTER)
    arguments = [settings.message_queue, settings.channel, room, namespace]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, timeout=30)


def test_a_stock_process_emits_to_a_jobs_room_and_to_a_sid_through_our_node(stack: Stack) -> None:
    started = stack.start("metronome", steps=1, interval=0.01)
    client = Client(stack.url)
    client.ask("watch", started)
    for room in (f"job:{started['job']}", client.sid):
        client.received.clear()
        emit_as_stock(stack, room, "/bridge")
        wait_until(lambda: ("from_stock", {"hello": "é"}) in client.received)
    client.close()


@pytest.fixture
def stock_node(stack: Stack) -> Iterator[Node]:
    node = Node(
        stack.settings, program=(sys.executable, "-W", "ignore", "-c", textwrap.dedent(STOCK_NODE))
    )
    yield node
    node.stop()


def test_our_emitter_reaches_a_stock_node(stack: Stack, stock_node: Node) -> None:
    client = Client(stock_node.url, namespace="/chat")
    assert client.ask("enter", "lobby")
    program = (
        "from bridge import emit; emit('from_us', {'a': [1, 'é']}, room='lobby', namespace='/chat')"
    )
    environ = {
        "BRIDGE_MESSAGE_QUEUE": stack.settings.message_queue,
        "BRIDGE_CHANNEL": stack.settings.channel,
        "BRIDGE_SECRET_KEY": SECRET,
    }
    # A stock node begins to listen with its first client, and tells nobody when it does.
    for _ in range(10):
        subprocess.run(
            [sys.executable, "-c", program], check=True, timeout=30, cwd=ROOT, env=environ
        )
        if read_until(lambda: client.received, 1):
            break
    name, payload = client.received[0]
    assert (name, payload["data"]) == ("from_us", {"a": [1, "é"]})
    assert (payload["rev"], payload["seq"]) == (None, None)
    client.close()
