"""The Flask extension: what it adds, what it leaves alone, and when the relay starts."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from flask import Flask
from flask_socketio import SocketIO

from bridge import Bridge, init_app
from bridge.errors import Forbidden, PatchingError, SettingsError
from bridge.settings import Settings
from tests.conftest import wait_until
from tests.nodes import Worker, passes

KEY = "sixteen characters and more"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("BRIDGE_")]:
        monkeypatch.delenv(variable)


@pytest.fixture
def options(settings: Settings) -> dict[str, Any]:
    return {
        "message_queue": settings.message_queue,
        "channel": settings.channel,
        "secret_key": settings.secret_key,
        "async_mode": "threading",
    }


@pytest.fixture
def bridge(options: dict[str, Any]) -> Iterator[Bridge]:
    bridge = Bridge(Flask(__name__), **options)
    yield bridge
    bridge.stop()


def test_factory_pattern(options: dict[str, Any]) -> None:
    bridge, app = Bridge(channel="early", secret_key=KEY), Flask(__name__)

    bridge.init_app(app, **{**options, "channel": "late"})

    assert app.extensions["celery-bridge"] is bridge
    assert bridge.settings.channel == "late"
    assert app.extensions["socketio"] is bridge.socketio
    assert bridge.relay is None


def test_init_app_function(options: dict[str, Any]) -> None:
    app = Flask(__name__)

    assert init_app(app, **options) is app.extensions["celery-bridge"]


def test_settings_come_from_the_flask_config() -> None:
    app = Flask(__name__)
    app.config.update(BRIDGE_CHANNEL="of-flask", BRIDGE_ASYNC_MODE="threading", SECRET_KEY=KEY)

    bridge = Bridge(app)

    assert bridge.settings.channel == "of-flask"
    assert bridge.settings.secret_key == (KEY,)


def test_the_bridges_own_key_wins_over_flasks() -> None:
    app = Flask(__name__)
    app.config.update(SECRET_KEY=KEY, BRIDGE_SECRET_KEY="another key of length", PORT=1)

    assert Bridge(app, async_mode="threading").settings.secret_key == ("another key of length",)


@pytest.mark.parametrize("key", [None, "short"])
def test_without_a_secret_it_refuses_with_the_hint(key: str | None) -> None:
    app = Flask(__name__)
    app.config["SECRET_KEY"] = key

    with pytest.raises(SettingsError, match=r"secrets\.token_urlsafe"):
        Bridge(app, async_mode="threading")


def test_public_needs_no_secret() -> None:
    bridge = Bridge(Flask(__name__), async_mode="threading", public=True)

    with pytest.raises(SettingsError, match="BRIDGE_SECRET_KEY"):
        bridge.issue_token("job")


def test_unknown_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="chanel"):
        Bridge(Flask(__name__), chanel="typo", secret_key=KEY)


def test_issue_token(bridge: Bridge) -> None:
    assert bridge.tokens is not None
    bridge.tokens.check(bridge.issue_token("a"), "watch", job="a")
    bridge.tokens.check(bridge.issue_token(root="a"), "watch", root="a")
    both = bridge.issue_token(["a", "b"], actions=["watch", "cancel"], expires=60)
    bridge.tokens.check(both, "cancel", job="b")
    with pytest.raises(Forbidden):
        bridge.tokens.check(bridge.issue_token(user=7), "watch", user="8")


def test_the_hosts_socketio_and_its_manager_stay(options: dict[str, Any]) -> None:
    app = Flask(__name__)
    socketio = SocketIO(app, async_mode="threading")
    manager = socketio.server.manager

    bridge = Bridge(app, **options)

    assert bridge.socketio is socketio
    assert socketio.server.manager is manager
    assert app.extensions["socketio"] is socketio


def test_a_socketio_added_afterwards_is_refused_when_serving(options: dict[str, Any]) -> None:
    app = Flask(__name__)
    bridge = Bridge(app, **options)
    SocketIO(app, async_mode="threading")

    with pytest.raises(SettingsError, match="create it before"):
        bridge.start()


def test_init_app_starts_no_thread(options: dict[str, Any]) -> None:
    before = set(threading.enumerate())

    Bridge(Flask(__name__), **options)

    assert set(threading.enumerate()) == before


def test_the_first_request_starts_it_once(bridge: Bridge) -> None:
    client = bridge._app.test_client()
    assert bridge.relay is None

    client.get("/healthz")
    relay = bridge.relay
    client.get("/healthz")

    assert relay is not None
    assert bridge.relay is relay


def test_an_unpatched_process_is_refused_at_the_first_request(options: dict[str, Any]) -> None:
    app = Flask(__name__)
    app.testing = True
    Bridge(app, **{**options, "async_mode": "eventlet"})

    with pytest.raises(PatchingError, match="not patched"):
        app.test_client().get("/healthz")


def test_a_relay_that_starts_again_hears_the_base_channel_once(bridge: Bridge) -> None:
    bridge.start()
    listener = bridge.socketio.server.manager.thread
    first = bridge.relay
    bridge.stop()
    bridge.start()
    assert bridge.relay is not first
    assert bridge.socketio.server.manager.thread is listener


def test_a_forked_process_gets_a_relay_of_its_own(options: dict[str, Any]) -> None:
    passes(f"""
import os, time
from flask import Flask
from bridge import Bridge
bridge = Bridge(Flask("app"), **{options!r})
bridge.start()
of_parent = bridge.relay
child = os.fork()
if not child:
    ok = bridge.relay is None
    bridge.start()
    end = time.monotonic() + 10
    while bridge.relay.heard_seconds is None and time.monotonic() < end:
        time.sleep(0.01)
    os._exit(0 if ok and bridge.relay is not of_parent and bridge.relay.heard_seconds else 1)
assert os.waitpid(child, 0)[1] == 0
assert bridge.relay is of_parent
bridge.stop()
""")


def test_a_factory_in_a_celery_worker_or_a_shell_starts_nothing() -> None:
    # With the default, eventlet: nothing is patched, no thread runs, nothing is connected.
    passes(
        """
import socket, sys, threading
original = socket.socket
socket.create_connection = socket.socket.connect = None
from celery import Celery
from flask import Flask
from bridge import Bridge
celery = Celery("app")
app = Flask("app")
bridge = Bridge(app, secret_key="sixteen characters and more")
assert socket.socket is original
assert threading.enumerate() == [threading.main_thread()]
assert bridge.relay is None
with app.app_context():
    pass
from eventlet.patcher import is_monkey_patched
assert not is_monkey_patched("socket")
""".replace("socket.create_connection = socket.socket.connect = None\n", "")
    )


def test_flask_socketios_test_client_works(
    options: dict[str, Any], settings: Settings, job: str
) -> None:
    # It refuses a server with a message queue, so the app brings one without.
    app, worker = Flask(__name__), Worker(settings)
    SocketIO(app, async_mode="threading")
    bridge = Bridge(app, **options)
    worker.state(job, "STARTED", current=1)
    client = bridge.socketio.test_client(bridge._app, namespace="/bridge")

    answer = client.emit(
        "watch", {"job": job, "token": bridge.issue_token(job)}, namespace="/bridge", callback=True
    )
    worker.state(job, current=2)

    assert answer["snapshot"]["current"] == 1
    received: list[Any] = []

    def arrived() -> bool:
        received.extend(client.get_received("/bridge"))
        return bool(received)

    wait_until(arrived)
    assert received[0]["name"] == "progress"
    assert received[0]["args"][0]["current"] == 2
    client.disconnect(namespace="/bridge")
    assert bridge.relay is not None
    assert len(bridge.relay.members) == 0
    bridge.stop()


def test_permessage_deflate_is_not_negotiated(bridge: Bridge) -> None:
    seen: dict[str, Any] = {}

    @bridge._app.get("/echo")
    def echo() -> str:
        from flask import request

        seen.update(request.environ)
        return ""

    headers = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    bridge._app.test_client().get("/echo", headers=headers)

    assert seen
    assert "HTTP_SEC_WEBSOCKET_EXTENSIONS" not in seen


def test_the_result_backend_as_journal_is_that_of_the_celery_app(options: dict[str, Any]) -> None:
    celery = Celery("theirs", backend="redis://127.0.0.1:1/0", set_as_current=False)
    options["journal"] = "result-backend"
    assert Bridge(Flask("a"), celery=celery, **options).settings.result_backend == (
        "redis://127.0.0.1:1/0"
    )
    named = Bridge(Flask("b"), celery=celery, result_backend="db+sqlite:///x", **options)
    assert named.settings.result_backend == "db+sqlite:///x"
    for wrong in (None, Celery("rpc", backend="rpc://", set_as_current=False)):
        with pytest.raises(SettingsError, match=r"BRIDGE_RESULT_BACKEND.*result_backend of"):
            Bridge(Flask("c"), celery=wrong, **options)


def test_a_journal_that_others_do_not_share_is_warned_of(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    bridge = Bridge(Flask("a"), journal="memory", **options)
    bridge.start()
    bridge.stop()
    assert "BRIDGE_JOURNAL=memory: only this process" in caplog.text
