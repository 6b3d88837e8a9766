"""The recipe for users' own tests, run as they would run it."""

from __future__ import annotations

import subprocess
import sys

from tests.examples.conftest import EXAMPLES


def test_users_test_their_tasks_without_any_server() -> None:
    command = ["-m", "pytest", "-q", "-c", "/dev/null", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run(
        [sys.executable, *command, "testing_your_tasks.py"],
        cwd=EXAMPLES, capture_output=True, text=True, timeout=55,
    )  # fmt: skip
    assert "2 passed" in done.stdout, done.stdout + done.stderr
