import json
import subprocess
import sys

import pytest

from bridge.settings import Settings
from workers.app import HARD_LIMIT_SECONDS, QUEUE, SOFT_LIMIT_SECONDS, VISIBILITY_SECONDS, make_app

TASKS = {"checksum_folder", "import_csv", "count_words", "flaky", "metronome"}


def test_queue_and_backend_come_from_the_settings() -> None:
    app = make_app(Settings(message_queue="redis://one/1"))
    assert (app.conf.broker_url, app.conf.result_backend) == ("redis://one/1", "redis://one/1")
    app = make_app(Settings(message_queue="redis://one/1", result_backend="redis://two/2"))
    assert app.conf.result_backend == "redis://two/2"


def test_only_json_is_accepted() -> None:
    conf = make_app(Settings()).conf
    assert conf.accept_content == ["json"]
    assert conf.task_serializer == conf.result_serializer == "json"


def test_a_job_is_over_before_the_queue_hands_it_out_again() -> None:
    assert SOFT_LIMIT_SECONDS < HARD_LIMIT_SECONDS < VISIBILITY_SECONDS
    conf = make_app(Settings()).conf
    assert conf.task_acks_late
    assert conf.worker_prefetch_multiplier == 1
    assert conf.task_default_queue == QUEUE


@pytest.mark.parametrize("name", ["workers", "workers.app"])
def test_celery_finds_the_app_and_its_tasks_without_the_web_side(name: str) -> None:
    program = (
        "import json, sys\nfrom celery.app.utils import find_app\n"
        f"app = find_app({name!r})\napp.loader.import_default_modules()\n"
        "print(json.dumps([sorted(app.tasks), sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50
    )
    tasks, modules = json.loads(done.stdout.splitlines()[-1])
    assert {task for task in tasks if task.startswith("workers.")} == {
        f"workers.{t}" for t in TASKS
    }
    strangers = ("eventlet", "gevent", "web", "flask_socketio", "bridge.relay")
    assert not set(strangers) & set(modules)
