"""`bridge watch` as a process, piped and on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading

import pytest

from tests.conftest import free_port, wait_until
from tests.nodes import ROOT, Node, Worker, job, node, shared_node, shared_settings, worker

__all__ = ["job", "node", "shared_node", "shared_settings", "worker"]

PROGRAM = [sys.executable, "-c", "from bridge.cli import main; main()", "watch"]


def environ(**given: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
    return {**kept, "PYTHONPATH": str(ROOT), **given}


def run(*arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, timeout=40, env=environ(**given)
    )


def test_lines_when_piped_and_the_exit_status_of_success(
    worker: Worker, node: Node, job: str
) -> None:
    worker.state(job, "STARTED", current=0, total=10, unit="rows")
    worker.event(job, data={"line": 7})
    process = subprocess.Popen(
        [*PROGRAM, job, "--url", node.url, "--token", worker.tokens.issue(jobs=job)],
        stdout=subprocess.PIPE, text=True, env=environ(),
    )  # fmt: skip
    assert process.stdout is not None
    lines: list[str] = []
    reading = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
    reading.start()
    wait_until(lambda: any("STARTED" in line for line in list(lines)))
    worker.state(job, "SUCCESS", current=10, total=10)

    assert process.wait(30) == 0
    reading.join()
    process.stdout.close()
    text = "".join(lines)
    assert "row {'line': 7}" in text
    assert "STARTED" in text
    assert "0/10 rows" in text
    assert "SUCCESS" in text
    assert "100%" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(("state", "status"), [("SUCCESS", 0), ("FAILURE", 1), ("REVOKED", 1)])
def test_exit_status(worker: Worker, node: Node, job: str, state: str, status: int) -> None:
    error = {"type": "ValueError", "message": "bad row"} if state == "FAILURE" else None
    worker.state(job, "STARTED")
    worker.state(job, state, error=error)

    done = run(job, "--url", node.url, "--token", worker.tokens.issue(jobs=job))

    assert done.returncode == status, done.stderr
    assert state in done.stdout
    assert ("ValueError: bad row" in done.stdout) == (state == "FAILURE")


def test_a_bar_on_a_terminal(worker: Worker, node: Node, job: str) -> None:
    worker.state(job, "STARTED", current=0, total=10)
    worker.event(job, name="[bold]markup[/bold]")
    worker.state(job, "SUCCESS", current=10, total=10, message="[red]done[/red]")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, job, "--url", node.url, "--token", worker.tokens.issue(jobs=job)],
        stdout=theirs, env=environ(TERM="xterm", COLUMNS="100"),
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
    os.close(ours)

    assert process.wait(30) == 0
    assert b"SUCCESS" in shown
    assert b"100%" in shown
    assert b"[red]done[/red]" in shown
    assert b"[bold]markup" in shown


def test_refusals_are_told_plainly(worker: Worker, node: Node, job: str) -> None:
    worker.state(job, "STARTED")

    forbidden = run(job, "--url", node.url)
    malformed = run("not an id", "--url", node.url)
    nobody = run(job, "--url", f"http://127.0.0.1:{free_port()}")

    for done, code in (
        (forbidden, "forbidden"),
        (malformed, "bad_request"),
        (nobody, "unavailable"),
    ):
        assert done.returncode == 2
        assert f"({code})" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_secret_here_signs_the_token(worker: Worker, node: Node, job: str) -> None:
    worker.state(job, "STARTED")
    worker.state(job, "SUCCESS")

    done = run(job, "--url", node.url, BRIDGE_SECRET_KEY=worker.settings.secret_key[0])

    assert done.returncode == 0, done.stderr
