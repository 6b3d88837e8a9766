"""What comes along with an import, seen in a fresh interpreter.

import-linter (`make check`) sees what our modules import; what their imports import in turn,
and what a Celery worker loads in the end, shows only at run time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TypedDict

import pytest

STRANGERS = ("eventlet", "gevent", "bridge.relay")

REPORT = """
import json, socket, sys, threading, time
print(json.dumps({
    "modules": sorted(sys.modules),
    "socket": socket.socket.__module__,
    "sleep": type(time.sleep).__name__,
    "threads": [t.name for t in threading.enumerate()],
}))
"""


class Report(TypedDict):
    modules: list[str]
    socket: str
    sleep: str
    threads: list[str]


def run(program: str, repository: Path) -> Report:
    """Run a program in a new interpreter and report what it has loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program) + REPORT],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: Report = json.loads(done.stdout.splitlines()[-1])
    return report


def strangers(report: Report) -> list[str]:
    return [
        name for name in report["modules"] if any(f"{name}.".startswith(f"{s}.") for s in STRANGERS)
    ]


def is_patched(report: Report) -> bool:
    return report["socket"] != "socket" or report["sleep"] != "builtin_function_or_method"


IN_A_WORKER = {
    "the package": "import bridge",
    "the names for task code": "from bridge import emit, current_progress, push_progress, Progress",
    "the names for web code": "from bridge import submit, issue_token, Job, JobCancelled",
    "the sender": "import bridge.sender",
    "the workers' app": """
        from celery.app.utils import find_app
        app = find_app("workers")
        app.loader.import_default_modules()
        app.finalize()
        assert [name for name in app.tasks if not name.startswith("celery.")]
        """,
}


@pytest.mark.parametrize("program", IN_A_WORKER.values(), ids=IN_A_WORKER.keys())
def test_a_worker_loads_nothing_of_the_web_node(program: str, repository: Path) -> None:
    report = run(program, repository)
    assert strangers(report) == []
    assert not is_patched(report)
    assert report["threads"] == ["MainThread"]


def test_importing_the_package_is_light(repository: Path) -> None:
    report = run("import bridge", repository)
    heavy = {"flask", "flask_socketio", "socketio", "engineio", "kombu"} & set(report["modules"])
    assert not heavy


def test_an_import_of_the_relay_patches_nothing(repository: Path) -> None:
    assert not is_patched(run("import bridge.relay, bridge.relay.patching", repository))


def test_these_checks_can_fail(repository: Path) -> None:
    report = run("import eventlet; eventlet.monkey_patch()", repository)
    assert "eventlet" in strangers(report)
    assert is_patched(report)
