"""docs/deployment.md tells the very lines that the tests ran, and tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.deployments.queues import QUEUES, RABBITMQ
from tests.deployments.test_pools import MORE_POOLS, POOLS
from tests.deployments.ways import APP, OF_THEIR_OWN, QUICK, Way

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("way", [*QUICK, *OF_THEIR_OWN], ids=lambda way: way.name)
def test_its_lines_are_those_that_ran(way: Way) -> None:
    line = way.line.replace("PORT", "5000").replace("APP", APP).replace("VENV", "$VIRTUAL_ENV")
    assert f"`{way.name}`" in TEXT
    same_again = way.name.startswith("bridge serve,")
    assert f"`{line}`" in TEXT or (same_again and "the same" in TEXT)


@pytest.mark.parametrize("queue", [*QUEUES, RABBITMQ])
def test_every_message_queue_has_its_row(queue: str) -> None:
    assert re.search(rf"^\| .*\| `{queue}`", TEXT, re.MULTILINE)


#: What a user may have, by sections of the document: a row of each begins so.
ROWS = {
    "What serves a node": (
        "`bridge serve`, eventlet", "`bridge serve`, gevent", "`bridge serve`, threading",
        "`flask run` with the reloader", "gunicorn, gevent", "gunicorn, threads",
        "gunicorn before 26, eventlet", "uWSGI, gevent",
    ),
    "Several nodes, and what stands before them": (
        "`single.conf`", "`ip-hash.conf`", "`cookie.conf`", "`prefix.conf`", "`tls.conf`",
    ),
    "Message queues": (
        "Redis 7", "Redis 6.2", "Valkey", "Redis with a password", "Redis with a user",
        "Redis behind TLS", "Redis by a unix socket", "Redis with Sentinel", "RabbitMQ",
    ),
    "Your application": (
        "our own web node", "a Flask app made by a factory", "an app with its own `SocketIO`",
        "Django, FastAPI",
    ),
    "Clients": (
        "the widget", "socket.io-client 4", "python-socketio", "`EventSource`",
        "`curl`, the stream", "`curl`, snapshots",
    ),
    "Celery: pools and ways to use it": (
        "prefork", "threads", "solo", "gevent", "eventlet", "`--max-tasks-per-child`",
        "users of `worker_process_init`", "eager", "retries", "`acks_late`", "ETA and countdown",
        "`link`, `link_error`", "chains, groups, chords", "`shared_task`, class-based tasks",
        "two Celery apps in one process", "Django's set-up",
    ),
    "Journals": ("Redis or Valkey", "Celery's result backend", "the same beside a Redis", "memory"),
}  # fmt: skip


def rows_of(section: str) -> list[str]:
    """The rows of the tables between a heading and the next."""
    text = TEXT.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]


@pytest.mark.parametrize("section", ROWS)
def test_every_row_is_there_and_tells_what_ran_it(section: str) -> None:
    heading, *rows = rows_of(section)
    for begins in ROWS[section]:
        assert any(row.startswith(f"| {begins}") for row in rows), begins
    if section.startswith("Several nodes"):
        return  # one sentence tells it for all of them
    runs = {way.name for way in [*QUICK, *OF_THEIR_OWN]} | {*QUEUES, RABBITMQ, *POOLS, *MORE_POOLS}
    for row in rows:
        last = row.rstrip(" |").rpartition(" | ")[2]
        named = set(re.findall(r"`([^`]+)`", last))
        ours = [name for name in named if name in runs or name.startswith(("test_", "tests/"))]
        assert ours or "all tests" in last or "the same" in last, f"{heading}: {row}"


@pytest.mark.parametrize("pool", [*POOLS, *MORE_POOLS])
def test_every_pool_has_its_row(pool: str) -> None:
    assert any(f"`{pool}`" in row for row in rows_of("Celery: pools and ways to use it"))


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    written = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert named
    assert named - written == set()
    files = set(re.findall(r"`((?:tests|docs|docker)/[\w/.-]+)`", TEXT))
    assert [name for name in files if not (ROOT / name).exists()] == []
    confs = set(re.findall(r"^\| `([\w-]+\.conf)`", TEXT, re.MULTILINE))
    assert confs == {
        "single.conf", "ip-hash.conf", "cookie.conf", "prefix.conf", "tls.conf"
    }  # fmt: skip
