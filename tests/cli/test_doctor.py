"""`bridge doctor`: names what is wrong, and the fix."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main
from bridge.rooms import versions_key
from bridge.settings import Settings
from bridge.version import VERSION
from tests.conftest import RabbitServer, RedisServer, free_port
from tests.nodes import SECRET, Node


@pytest.fixture(autouse=True)
def _healthy(monkeypatch: pytest.MonkeyPatch, redis_url: str, tmp_path: Path) -> None:
    for variable in [name for name in os.environ if name.startswith("BRIDGE_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("BRIDGE_SECRET_KEY", SECRET)
    monkeypatch.setenv("BRIDGE_MESSAGE_QUEUE", redis_url)
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "task-progress.js").write_text("")
    monkeypatch.setattr("bridge.cli.doctor.files", lambda _: tmp_path)


def run(*options: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *options])


def test_a_healthy_setup() -> None:
    done = run()
    assert done.exit_code == 0, done.output
    assert "wrong" not in done.output
    assert "answers, version" in done.output


def test_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIDGE_SECRET_KEY")
    done = run()
    assert done.exit_code == 1
    assert "wrong secret" in done.output
    assert "token_urlsafe" in done.output


def test_bad_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_LEESE", "3")
    done = run()
    assert done.exit_code == 1
    assert "BRIDGE_LEESE" in done.output


def test_dead_queue_and_hidden_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_MESSAGE_QUEUE", f"redis://:hidden-word@127.0.0.1:{free_port()}/0")
    done = run()
    assert done.exit_code == 1
    assert "wrong message queue redis://***@127.0.0.1" in done.output
    assert "hidden-word" not in done.output


def test_old_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redis.Redis.info", lambda *_: {"redis_version": "5.0.14"})
    done = run()
    assert done.exit_code == 1
    assert "6.2" in done.output


def test_widget_not_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "static" / "task-progress.js").unlink()
    done = run()
    assert done.exit_code == 1
    assert "make build" in done.output


def test_a_public_node_and_a_missing_mode_are_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_PUBLIC", "true")
    monkeypatch.setattr("bridge.cli.doctor._is_installed", lambda _: False)
    done = run()
    assert done.exit_code == 0
    assert "note  PUBLIC" in done.output
    assert "celery-bridge[web]" in done.output


@pytest.mark.parametrize(
    "secret", ["sixteen letters!", "ab" * 20, f"{'x1y2z3w4' * 5},short but legal!"]
)
def test_a_secret_that_may_be_guessed_is_a_note(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("BRIDGE_SECRET_KEY", secret)
    done = run()
    assert done.exit_code == 0
    assert "note  secret" in done.output
    assert "token_urlsafe" in done.output
    assert secret not in done.output


def test_a_secret_that_is_too_short_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_SECRET_KEY", "hunter2")
    done = run()
    assert done.exit_code == 1
    assert "BRIDGE_SECRET_KEY" in done.output
    assert "hunter2" not in done.output


def test_every_origin_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_CORS_ORIGINS", "https://example.org,*")
    done = run()
    assert done.exit_code == 0
    assert "note  CORS_ORIGINS" in done.output


@pytest.mark.rabbitmq
def test_rabbitmq_and_its_journal(
    monkeypatch: pytest.MonkeyPatch, shared_rabbit: RabbitServer, redis_url: str
) -> None:
    monkeypatch.setenv("BRIDGE_MESSAGE_QUEUE", shared_rabbit.url)
    done = run()
    assert done.exit_code == 1
    assert "fix: BRIDGE_JOURNAL: RabbitMQ" in done.output

    monkeypatch.setenv("BRIDGE_JOURNAL", redis_url)
    done = run()
    assert done.exit_code == 0, done.output
    assert "message queue amqp://***@127.0.0.1" in done.output
    assert "journal redis://127.0.0.1" in done.output

    monkeypatch.setenv("BRIDGE_MESSAGE_QUEUE", f"amqp://guest:hidden-word@127.0.0.1:{free_port()}")
    done = run()
    assert done.exit_code == 1
    assert "wrong message queue amqp://***@127.0.0.1" in done.output
    assert "hidden-word" not in done.output


def test_another_version_on_the_channel(
    monkeypatch: pytest.MonkeyPatch, shared_redis: RedisServer, channel: str
) -> None:
    monkeypatch.setenv("BRIDGE_CHANNEL", channel)
    client = shared_redis.client
    client.hset(versions_key(channel), "9.9.9", round(time.time()))
    client.close()
    done = run()
    assert done.exit_code == 1
    assert f"wrong versions on channel {channel}: {VERSION}, 9.9.9" in done.output


def test_gunicorn_and_the_async_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "has no eventlet worker" in run().output
    monkeypatch.setenv("BRIDGE_ASYNC_MODE", "gevent")
    assert "gunicorn -k gevent -w 1" in run().output


def test_a_node_that_does_not_answer() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = run("--url", url)
    assert done.exit_code == 1
    assert f"wrong node at {url}" in done.output


LATE = """
import logging, redis
from gevent import monkey; monkey.patch_all()
from flask import Flask
from bridge import Bridge
from bridge.relay.serving import serve
logging.basicConfig(level=logging.INFO)
app = Flask(__name__)
serve(app, Bridge(app))
"""


def test_a_node_that_was_patched_too_late(settings: Settings) -> None:
    program = (sys.executable, "-c", LATE)
    node = Node(settings, program=program, BRIDGE_ASYNC_MODE="gevent")
    try:
        done = run("--url", node.url)
    finally:
        node.stop()
    assert done.exit_code == 1
    assert "wrong node: patched too late: " in done.output
    assert "redis.connection" in done.output
    assert "patch('gevent')" in done.output
    assert any("patched too late" in line for line in node.log)


@pytest.mark.parametrize(
    ("journal", "backend", "status", "says"),
    [
        ("memory", "", 0, "note  journal memory"),
        ("result-backend", "", 1, "set BRIDGE_RESULT_BACKEND"),
        ("result-backend", "rpc://", 1, "rpc:// and disabled:// keep nothing"),
        ("result-backend", "redis://:hidden-word@127.0.0.1:1/0", 1, "correct BRIDGE_RESULT"),
        ("result-backend", "db+sqlite:///{folder}/results", 0, "ok    journal result-backend db+s"),
    ],
)
def test_journals_that_keep_less(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    journal: str, backend: str, status: int, says: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("BRIDGE_JOURNAL", journal)
    monkeypatch.setenv("BRIDGE_RESULT_BACKEND", backend.format(folder=tmp_path))
    done = run()
    assert (done.exit_code, says in done.output) == (status, True), done.output
    assert "hidden-word" not in done.output
    if not status:
        assert "note  promise off: " in done.output


def test_a_message_queue_within_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_MESSAGE_QUEUE", "memory://")
    done = run()
    assert (done.exit_code, "within one process" in done.output) == (0, True), done.output
