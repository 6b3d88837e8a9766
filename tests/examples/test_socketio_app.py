"""Flask-SocketIO's features on the server that the bridge shares, by a foreign client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import socketio

from tests.conftest import free_port, wait_until
from tests.examples.conftest import Stage
from tests.nodes import Client

pytestmark = [pytest.mark.e2e, pytest.mark.redis]
MODES = [
    "eventlet",
    pytest.param("threading", marks=pytest.mark.deployments),
    pytest.param("gevent", marks=pytest.mark.deployments),
]


class Guest:
    """A client in a namespace of the app's own, with all that it received."""

    def __init__(self, url: str, namespace: str = "/", **options: Any) -> None:
        self.namespace = namespace
        self.received: list[tuple[Any, ...]] = []
        self.sio = socketio.Client(handle_sigint=False, reconnection=False)
        self.sio.on("*", lambda *told: self.received.append(told), namespace=namespace)
        self.sio.connect(
            url, namespaces=[namespace], transports=["websocket"], wait_timeout=30, **options
        )

    def ask(self, event: str, *arguments: Any) -> Any:
        return self.sio.call(event, arguments, namespace=self.namespace, timeout=30)

    def tell(self, event: str, *arguments: Any) -> None:
        self.sio.emit(event, arguments, namespace=self.namespace)

    def wait(self, *told: Any) -> None:
        wait_until(lambda: told in self.received, what=f"{told}, not {self.received}")


Enter = Callable[..., Guest]


@pytest.fixture(scope="module", params=MODES)
def app(request: pytest.FixtureRequest, stage: Stage) -> Iterator[str]:
    port = free_port()
    environ = {"BRIDGE_PORT": str(port), "BRIDGE_ASYNC_MODE": request.param}
    with stage.app("socketio_app.py", port=port, **environ) as url:
        yield url


@pytest.fixture
def enter(app: str) -> Iterator[Enter]:
    made: list[Guest] = []

    def enter(*arguments: Any, **options: Any) -> Guest:
        made.append(Guest(app, *arguments, **options))
        return made[-1]

    yield enter
    for guest in made:
        guest.sio.shutdown()


def test_unnamed_json_and_binary_messages_and_several_arguments(enter: Enter) -> None:
    guest = enter()
    guest.sio.send("psst")
    guest.wait("message", "PSST")
    guest.tell("json", {"a": [1, None]})
    guest.wait("json", {"got": {"a": [1, None]}})
    assert guest.ask("picture", b"\x00\x01\xff", "cat") == (3, "cat")
    guest.wait("picture", b"\xff\x01\x00", "cat")


def test_acks_in_both_directions(enter: Enter) -> None:
    guest = enter()
    guest.sio.on("question", lambda text: f"{text} 7", namespace="/")
    guest.tell("ask_me")
    wait_until(lambda: "answered: how old? 7" in guest.ask("told"))


def test_broadcasts_and_rooms(enter: Enter) -> None:
    one, two, three = enter(), enter(), enter()
    one.tell("shout", "hey")
    two.wait("shout", "hey")
    three.wait("shout", "hey")
    assert two.ask("enter", "kitchen") == ["kitchen"]
    assert three.ask("enter", "kitchen") == ["kitchen"]
    one.tell("say", "kitchen", "soup")
    two.wait("said", "soup")
    three.wait("said", "soup")
    assert three.ask("leave", "kitchen") == []
    one.tell("say", "kitchen", "bread")
    two.wait("said", "bread")
    one.ask("close", "kitchen")
    one.tell("say", "kitchen", "nobody")
    one.ask("told")
    two.ask("told")  # whatever was sent before has come
    assert ("shout", "hey") not in one.received
    assert ("said", "bread") not in three.received
    assert ("said", "nobody") not in two.received


def test_a_namespace_of_ones_own(enter: Enter) -> None:
    one, two = enter("/chat"), enter("/chat")
    one.wait("hello", "chat")
    assert one.ask("say", "hi") == "ok"
    two.wait("said", "hi")


def test_errors_come_to_their_handlers_and_cost_nobody_the_connection(enter: Enter) -> None:
    guest, chatter = enter(), enter("/chat")
    guest.tell("fail", "oops")
    chatter.tell("fail")
    wait_until(lambda: "default: fail ('oops',): oops" in guest.ask("told"))
    wait_until(lambda: "chat: fail: chat" in guest.ask("told"))
    assert chatter.ask("say", "still here") == "ok"


def test_who_is_not_let_in_and_who_leaves(app: str, enter: Enter) -> None:
    with pytest.raises(socketio.exceptions.ConnectionError):
        Guest(app, auth={"ticket": "stolen"}, wait=True)
    witness, one, two = enter(), enter(), enter()
    one.sio.eio.send("1")  # its disconnect() may close the WebSocket before it has said so
    two.tell("throw_me_out")
    wait_until(lambda: not two.sio.connected)
    wait_until(
        lambda: {"left: client disconnect", "left: server disconnect"} <= set(witness.ask("told"))
    )


def test_sessions_and_users(app: str, enter: Enter) -> None:
    web = requests.Session()
    assert web.post(f"{app}/login/ann", timeout=30).ok
    cookie = "; ".join(f"{c.name}={c.value}" for c in web.cookies)
    known, stranger = enter(headers={"Cookie": cookie}), enter()
    assert known.ask("who_am_i") == "ann"
    assert stranger.ask("who_am_i") is None
    assert known.ask("recall") == ["blue", None]
    known.ask("remember", "sesame")
    assert known.ask("recall") == ["blue", "sesame"]
    assert stranger.ask("recall") == [None, None]


def test_sessions_that_the_app_manages(stage: Stage) -> None:
    port = free_port()
    environ = {"BRIDGE_PORT": str(port), "MANAGE_SESSION": "false"}
    with stage.app("socketio_app.py", port=port, **environ) as url:
        web = requests.Session()
        assert web.post(f"{url}/login/ann", timeout=30).ok
        cookie = "; ".join(f"{c.name}={c.value}" for c in web.cookies)
        guest = Guest(url, headers={"Cookie": cookie})
        guest.ask("remember", "sesame")
        # The session is the browser's cookie, in which no Socket.IO handler can write.
        assert guest.ask("recall") == ["blue", None]
        guest.sio.shutdown()


@pytest.mark.parametrize("namespace", ["/", "/chat"])
def test_progress_comes_to_the_namespace_of_who_asked(
    app: str, enter: Enter, namespace: str
) -> None:
    guest, other = enter(namespace), enter(namespace)
    job = guest.ask("count", 20)

    def states() -> list[str]:
        return [told[1]["state"] for told in guest.received if told[0] == "progress"]

    wait_until(lambda: "SUCCESS" in states(), seconds=90)
    assert all(told[1]["job"] == job["job"] for told in guest.received if told[0] == "progress")
    assert [told for told in other.received if told[0] == "progress"] == []
    watcher = Client(app)
    assert watcher.ask("watch", job)["snapshot"]["state"] == "SUCCESS"
    watcher.close()


@pytest.mark.parametrize(
    "command", ["flask", pytest.param("gunicorn", marks=pytest.mark.deployments)]
)
def test_a_factory_with_blueprints(stage: Stage, command: str) -> None:
    port = free_port()
    lines = {
        "flask": ("-m", "flask", "--app", "factory_app", "run", "--port", str(port)),
        "gunicorn": ("-m", "gunicorn", "-k", "gevent", "-w", "1", "-b", f"127.0.0.1:{port}",
                     "factory_app:create_app()"),
    }  # fmt: skip
    mode = {"flask": "threading", "gunicorn": "gevent"}[command]
    with stage.app(*lines[command], port=port, BRIDGE_ASYNC_MODE=mode) as url:
        job = requests.post(f"{url}/sheep/10", timeout=30).json()
        client = Client(url)
        client.ask("watch", job)
        wait_until(
            lambda: (
                "SUCCESS" in [d["state"] for name, d in client.received if name == "progress"]
                or client.ask("watch", job)["snapshot"]["state"] == "SUCCESS"
            ),
            seconds=30,
        )
        fresh = requests.get(f"{url}/sheep/{job['job']}/token", timeout=30).json()["token"]
        assert client.ask("watch", {"job": job["job"], "token": fresh})["actions"] == ["watch"]
        client.close()
