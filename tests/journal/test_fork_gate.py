"""Forks and calls of a result backend keep apart, else Celery's own backend hangs in the child."""

from __future__ import annotations

import threading

from bridge.journal.fork_gate import ForkGate
from tests.conftest import wait_until
from tests.nodes import passes


def test_a_fork_waits_for_a_call_and_a_call_for_a_fork() -> None:
    gate = ForkGate()
    order: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def call() -> None:
        with gate.call():
            inside.set()
            leave.wait(30)
            order.append("call")

    def fork() -> None:
        gate.before()
        order.append("fork")
        gate.after_in_parent()

    threads = [threading.Thread(target=call), threading.Thread(target=fork)]
    threads[0].start()
    assert inside.wait(30)
    threads[1].start()
    wait_until(lambda: gate._forking or order)
    leave.set()
    for thread in threads:
        thread.join(30)
    assert "call" in order
    with gate.call():
        assert gate._calls == 1


def test_a_backend_that_hangs_holds_up_no_fork_and_hangs_in_no_child() -> None:
    """A thread is in the middle of the very property that the child then asks for."""
    passes("""
import os, threading
from celery import Celery
from bridge.journal.fork_gate import gate
from celery.backends.redis import RedisBackend

app = Celery(backend="redis://127.0.0.1:1/0", set_as_current=False)
gate.free_in_children(app.backend)
held = threading.Event()

def hang():
    with gate.call(), RedisBackend.__dict__["client"].lock:
        held.set()
        threading.Event().wait()

threading.Thread(target=hang, daemon=True).start()
assert held.wait(20)
pid = os.fork()
if not pid:
    app.backend.client
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
""")
