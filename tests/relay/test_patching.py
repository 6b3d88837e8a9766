"""Patching: each case in an interpreter of its own, so that none poisons the others."""

from __future__ import annotations

import importlib.util

import pytest

from tests.nodes import passes

needs_gevent = pytest.mark.skipif(
    importlib.util.find_spec("gevent") is None, reason="gevent is not installed"
)
MODES = ["eventlet", pytest.param("gevent", marks=needs_gevent)]

REFUSES = """
from bridge.errors import PatchingError
def refuses(call, mode, *words):
    try:
        call(mode)
    except PatchingError as error:
        for word in words:
            assert word in str(error), (word, str(error))
    else:
        raise SystemExit(f"{call.__name__}({mode!r}) was not refused")
"""


def test_importing_it_loads_and_patches_nothing() -> None:
    passes("""
import sys, socket
before = socket.socket
import bridge.relay, bridge.relay.patching
assert not {"eventlet", "gevent", "flask", "socketio", "redis"} & set(sys.modules)
assert socket.socket is before
""")


@pytest.mark.parametrize("mode", MODES)
def test_patch_comes_before_all_else_and_silently(mode: str) -> None:
    passes(f"""
from bridge.relay.patching import check, patch, patched_for
patch({mode!r})
patch({mode!r})
check({mode!r})
assert patched_for() == {mode!r}
import bridge.relay.extension, bridge.relay.serving, bridge.message_queue.subscriber
import queue, socket, threading
assert {mode!r} in socket.socket.__module__
threading.Thread(target=print).start()
""")


def test_eventlets_other_warnings_are_not_hidden() -> None:
    passes("""
import warnings
filters = list(warnings.filters)
from bridge.relay.patching import patch
patch("eventlet")
assert warnings.filters == filters
""")


@pytest.mark.parametrize("module", ["redis", "flask", "flask_socketio"])
def test_too_late_names_what_was_imported_before(module: str) -> None:
    passes(f"""{REFUSES}
import {module}
import socket
before = socket.socket
from bridge.relay.patching import patch
refuses(patch, "eventlet", "too late", "first line", "patch('eventlet')")
assert socket.socket is before
""")


def test_too_late_because_of_a_running_thread() -> None:
    passes(f"""{REFUSES}
import threading
stop = threading.Event()
threading.Thread(target=stop.wait, name="early-bird").start()
from bridge.relay.patching import patch
refuses(patch, "eventlet", "too late", "early-bird")
stop.set()
""")


@pytest.mark.parametrize("mode", ["eventlet", "gevent", "gevent_uwsgi"])
def test_check_refuses_an_unpatched_process_and_says_what_to_do(mode: str) -> None:
    passes(f"""{REFUSES}
from bridge.relay.patching import check
refuses(check, {mode!r}, "not patched", "bridge serve", "BRIDGE_ASYNC_MODE=threading")
check("threading")
""")


def test_too_narrow_a_patch_is_refused() -> None:
    passes(f"""{REFUSES}
from bridge.relay.patching import check, import_quietly
import_quietly("eventlet").monkey_patch(socket=True)
refuses(check, "eventlet", "not patched")
""")


@pytest.mark.parametrize("configured", ["threading", "gevent"])
def test_a_patch_for_another_mode_is_refused(configured: str) -> None:
    passes(f"""{REFUSES}
from bridge.relay.patching import check, patch
patch("eventlet")
refuses(check, {configured!r}, "patched for eventlet", "BRIDGE_ASYNC_MODE=eventlet")
refuses(patch, {configured!r}, "patched for eventlet")
""")


def test_a_missing_package_is_named() -> None:
    passes(f"""{REFUSES}
import sys
sys.modules["eventlet"] = None
from bridge.relay.patching import patch
refuses(patch, "eventlet", "pip install 'celery-bridge[web]'")
""")


@pytest.mark.parametrize(
    ("options", "mode", "says"),
    [
        ({}, "gevent", "without gevent"),
        ({}, "eventlet", "without gevent"),
        ({}, "threading", "without gevent"),
        ({"gevent": b"1000"}, "eventlet", "with gevent"),
        ({"gevent": b"1000"}, "threading", "with gevent"),
    ],
)
def test_uwsgi_serves_in_gevent_mode_only(options: dict[str, bytes], mode: str, says: str) -> None:
    """Nothing but uWSGI has this module; `make deployments` asks a real one."""
    passes(f"""{REFUSES}
import sys, types
sys.modules["uwsgi"] = types.SimpleNamespace(opt={options!r})
from bridge.relay.patching import check, patch
for call in (patch, check):
    refuses(call, {mode!r}, {says!r}, "uwsgi --gevent 1000", "BRIDGE_ASYNC_MODE=gevent")
""")


@pytest.mark.parametrize("worker", ["gthread", "sync"])
@pytest.mark.parametrize("mode", ["eventlet", "gevent"])
def test_gunicorns_threads_serve_in_threading_mode_only(worker: str, mode: str) -> None:
    passes(f"""{REFUSES}
import gunicorn.workers.{worker}
from bridge.relay.patching import patch
refuses(patch, {mode!r}, "gunicorn -k {mode}", "BRIDGE_ASYNC_MODE=threading")
""")


@pytest.mark.parametrize("mode", MODES)
def test_in_time_and_late_are_told_apart(mode: str) -> None:
    """A late patch isn't ours: it comes from another's code, and what it left out is named."""
    imports = "import celery, flask, flask_socketio, redis, requests"
    tells = "from bridge.relay.patching import how_patched, patch\n"
    passes(f"{tells}patch({mode!r})\n{imports}\nassert how_patched().when == 'at start'")
    passes(f"{tells}{imports}\nassert how_patched().when == 'not'")
    late = {
        "eventlet": "import eventlet; eventlet.monkey_patch()",
        "gevent": "from gevent import monkey; monkey.patch_all()",
    }[mode]
    passes(f"""
import warnings; warnings.simplefilter("ignore")
import redis
{late}
{tells}
found = how_patched()
assert (found.when, "redis.connection" in found.unpatched) == ("late", True), found
""")
