"""Known secrets, everything at DEBUG: they are in no log, answer, record, error or page."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
from celery import Celery
from flask import Flask

from bridge import Bridge
from bridge.errors import QueueUnavailable, SettingsError
from bridge.journal import RedisJournal, connect
from bridge.settings import Settings
from bridge.tokens import Tokens
from tests.conftest import RedisServer, wait_until
from tests.nodes import Client, Node
from tests.security.conftest import ROOT, celery_worker

PASSWORD = "the-password-of-the-queue"
KEYS = ("the-first-signing-key-1234", "the-second-signing-key-5678")
ARGUMENT = "an-argument-of-a-task"
TRACEBACK = "said-in-the-traceback-only"
#: What must be nowhere, and what only the worker and its broker may know.
CREDENTIALS = (PASSWORD, *KEYS)
OF_THE_WORKER = (ARGUMENT, TRACEBACK)


class World:
    """A worker and a node, and all that can be seen of them."""

    def __init__(self, redis: RedisServer, folder: Path) -> None:
        self.settings = Settings.load(
            {
                "message_queue": f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/0",
                "channel": f"loud-{uuid.uuid4().hex}",
                "secret_key": KEYS,
            },
            environ={},
        )
        self.environ = {
            "BRIDGE_MESSAGE_QUEUE": self.settings.message_queue,
            "BRIDGE_CHANNEL": self.settings.channel,
            "BRIDGE_SECRET_KEY": ",".join(KEYS),
            "DEMO_UPLOADS": str(folder / "uploads"),
        }
        self.worker_log = folder / "worker.log"
        self.tokens = Tokens(KEYS, seconds=600)
        self.shown_tokens: list[str] = []
        self.heard: list[str] = []

    def run(self, node: Node) -> None:
        """Start jobs, watch them in every way, make mistakes; keep all that is said."""
        app = Celery("test", broker=self.settings.message_queue, set_as_current=False)
        client = Client(node.url)
        for task, end in (("loud.fail", "FAILURE"), ("loud.succeed", "SUCCESS")):
            job = str(uuid.uuid4())
            token = self.tokens.issue(jobs=job, actions=("watch", "cancel"))
            self.shown_tokens.append(token)
            self.heard.append(str(client.ask("watch", {"job": job, "token": token})))
            app.send_task(task, args=[ARGUMENT], task_id=job, queue="loud")
            wait_until(lambda end=end: f"'{end}'" in str(client.received), what=end)
            self.heard.append(str(client.ask("cancel", {"job": job, "token": token})))
            self.heard.append(str(client.ask("watch", {"job": job, "token": KEYS[0]})))
            for path in (f"/bridge/jobs/{job}", f"/bridge/jobs/{job}?token={token}"):
                self._get(node, path)
        for path in ("/", "/healthz", "/readyz", "/nothing", "/bridge/jobs/a b", "/demo/jobs/a"):
            self._get(node, path)
        self.heard.append(str(client.received))
        client.close()
        app.close()

    def _get(self, node: Node, path: str) -> None:
        answer = requests.get(node.url + path, timeout=30)
        self.heard.append(f"{answer.headers} {answer.text}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("loud")
    redis = RedisServer(folder)
    redis.client.config_set("requirepass", PASSWORD)
    made = World(redis, folder)
    program = (sys.executable, str(Path(__file__).with_name("loud_web.py")))
    with celery_worker(made.worker_log, made.environ, "DEBUG", app="tests.security.loud_tasks"):
        node = Node(made.settings, program=program, **made.environ)
        made.run(node)
        made.heard.append(str(dump(made.settings)))
        # The queue goes away: what is said about that names the server, not the password.
        redis.stop()
        wait_until(lambda: requests.get(f"{node.url}/readyz", timeout=30).status_code == 503)
        made._get(node, "/readyz")
        made._get(node, f"/bridge/jobs/a?token={made.tokens.issue(jobs='a')}")
        node.stop()
        made.heard += node.log
    return made


def dump(settings: Settings) -> list[Any]:
    """All that the bridge remembers: every key under its channel."""
    client = connect(settings.message_queue)
    readers: dict[bytes, Any] = {
        b"hash": client.hgetall,
        b"stream": client.xrange,
        b"string": client.get,
        b"zset": lambda key: client.zrange(key, 0, -1),
    }
    keys = list(client.scan_iter(f"{settings.channel}*"))
    found = [(key, readers[client.type(key)](key)) for key in keys]  # type: ignore[index]
    client.close()
    assert len(found) >= 4, "a state and events of two jobs"
    return found


def test_nothing_that_leaves_the_worker_tells_a_secret(world: World) -> None:
    said = "\n".join(world.heard)
    assert "LookupError" in said, "what is meant to travel does"
    assert "the row is missing" in said
    found = [secret for secret in (*CREDENTIALS, *OF_THE_WORKER) if secret in said]
    assert found == []


def test_the_workers_log_tells_no_credentials(world: World) -> None:
    said = world.worker_log.read_text()
    assert TRACEBACK in said, "Celery's own log has the traceback: it was there to be told"
    assert [secret for secret in CREDENTIALS if secret in said] == []


def test_tokens_are_in_no_log(world: World) -> None:
    """A token is a password for a while. Proxies log addresses, so it is better in a header."""
    said = "\n".join(world.heard)
    assert "Received packet MESSAGE" in said, "Engine.IO logs each packet"
    assert len(world.shown_tokens) == 2
    assert [token for token in world.shown_tokens if token in said] == []


URL = f"redis://user:{PASSWORD}@127.0.0.1:1/0"


def test_repr_and_errors_hide_credentials() -> None:
    settings = Settings.load({"message_queue": URL, "secret_key": KEYS}, environ={})
    bridge = Bridge(Flask(__name__), message_queue=URL, secret_key=KEYS, async_mode="threading")
    shown = [repr(settings), str(settings), repr(bridge), repr(bridge.tokens), f"{settings}"]
    shown += [repr(vars(bridge).get("settings")), repr(bridge.issue_token)]
    with pytest.raises(QueueUnavailable) as gone:
        RedisJournal(connect(URL), settings).ping()
    shown += traceback.format_exception(gone.value)
    for name, value in {
        "message_queue": f"http://user:{PASSWORD}@host/",
        "journal": f"mongodb://:{PASSWORD}@host",
        "secret_key": ["short", PASSWORD],
    }.items():
        with pytest.raises(SettingsError) as refused:
            Settings.load({name: value}, environ={})
        shown += traceback.format_exception(refused.value)
    assert [s for s in CREDENTIALS if any(s in text for text in shown)] == []
    bridge.stop()


@pytest.mark.parametrize("command", ["doctor", "serve", "watch a", "token a"])
def test_the_command_hides_credentials(command: str) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
    secrets = {
        "BRIDGE_MESSAGE_QUEUE": URL,
        "BRIDGE_SECRET_KEY": ",".join(KEYS),
        "BRIDGE_PORT": "-1",
    }
    done = subprocess.run(
        [sys.executable, "-c", "from bridge.cli import main; main()", *command.split()], cwd=ROOT,
        env={**kept, **secrets}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert said
    assert [secret for secret in CREDENTIALS if secret in said] == []
