"""Nothing here unpickles, and Celery is told not to: who writes to the queue must not run code."""

from __future__ import annotations

import ast
import base64
import json
import pickle
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest
from kombu.exceptions import ContentDisallowed
from kombu.serialization import loads

from bridge.settings import Settings
from tests.conftest import RedisServer, wait_until
from tests.nodes import SECRET
from tests.security.conftest import celery_worker
from web.demo import make_client
from workers.app import QUEUE, make_app

ROOT = Path(__file__).parents[2]
LOADERS = {
    "pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve", "jsonpickle", "yaml", "eval",
    "exec", "compile", "__import__",
}  # fmt: skip


def used(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found |= {name.name.split(".")[0] for name in names}
            case ast.ImportFrom(module=str(module)):
                found.add(module.split(".")[0])
            case ast.Call(func=ast.Name(id=name)):
                found.add(name)
    return found


def test_no_source_of_ours_evaluates_what_it_is_given() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "bridge", "web", "workers"], cwd=ROOT, capture_output=True, text=True,
        check=True,
    ).stdout.split()  # fmt: skip
    sources = [ROOT / name for name in listed if name.endswith(".py")]
    assert len(sources) > 50
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources
        for name in used(ast.parse(path.read_text(encoding="utf-8"))) & LOADERS
    }
    assert found == set()


@pytest.mark.parametrize("make", [make_app, make_client], ids=["worker", "web"])
def test_our_celery_apps_take_json_only(make: Any) -> None:
    app = make(Settings.load(environ={}))
    assert app.conf.accept_content == ["json"]
    assert app.conf.result_accept_content in (None, ["json"])
    assert app.conf.task_serializer == app.conf.result_serializer == "json"
    for kind in ("application/x-python-serialize", "application/x-yaml", "application/x-msgpack"):
        with pytest.raises(ContentDisallowed):
            loads(b"", kind, "binary", accept=app.conf.accept_content)


def test_a_worker_refuses_a_pickle(own_redis: RedisServer, tmp_path: Path) -> None:
    """The bomb leaves a file if anybody loads it."""
    proof = tmp_path / "proof"

    class Bomb:
        def __reduce__(self) -> Any:
            return (open, (str(proof), "w"))

    message = {
        "body": base64.b64encode(pickle.dumps(Bomb())).decode(),
        "content-type": "application/x-python-serialize",
        "content-encoding": "binary",
        "headers": {"id": str(uuid.uuid4()), "task": "workers.metronome", "lang": "py"},
        "properties": {
            "body_encoding": "base64", "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
        },
    }  # fmt: skip
    log = tmp_path / "worker.log"
    environ = {"BRIDGE_MESSAGE_QUEUE": own_redis.url, "BRIDGE_SECRET_KEY": SECRET}
    with celery_worker(log, environ):
        own_redis.client.lpush(QUEUE, json.dumps(message))
        wait_until(lambda: b"ContentDisallowed" in log.read_bytes(), what="the refusal")
        app = make_app(Settings.load({"message_queue": own_redis.url}, environ={}))
        steps = {"steps": 1, "interval": 0.1}
        assert app.send_task("workers.metronome", kwargs=steps, queue=QUEUE).get(timeout=30)
    assert not proof.exists()
