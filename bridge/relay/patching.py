"""Monkey-patching: the only place that does it, and the check that it was done in time.

Too late or too narrow a patch hangs a node, and one that leaks into a Celery worker hangs that. So
a serving process patches before it imports anything else, and the relay refuses to start in a
process that is not patched as its async mode needs. Importing this module patches nothing.
"""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from types import ModuleType
from typing import Any, Final

from bridge.errors import PatchingError

EVENTLET: Final = "eventlet"
GEVENT: Final = "gevent"
THREADING: Final = "threading"

#: What other modules copy by `from ... import ...` and then keep although it is patched later.
_COPIED: Final = {
    "_thread": ("allocate_lock",),
    "queue": ("LifoQueue", "PriorityQueue", "Queue", "SimpleQueue"),
    "select": ("epoll", "poll", "select"),
    "socket": ("create_connection", "getaddrinfo", "socket", "socketpair"),
    "subprocess": ("Popen",),
    "threading": ("Condition", "Event", "RLock", "Semaphore", "Thread", "Timer"),
    "time": ("sleep",),
}
_NEEDED: Final = ("os", "select", "socket", "thread", "time")
#: Of gunicorn's workers only the chosen one is loaded.
_THREADED_SERVERS: Final = ("gunicorn.workers.gthread", "gunicorn.workers.sync")
_FIRST_LINES: Final = "from bridge.relay.patching import patch; patch({mode!r})"


def patch(mode: str) -> None:
    """Patch the standard library for an async mode. Call it before any other import.

    Args:
        mode: ``eventlet``, ``gevent`` or ``threading`` (which needs none). A process that is
            patched for that mode already is left alone.

    Raises:
        PatchingError: it is too late, the process is patched for another mode, or the mode's
            package is not installed.
    """
    if mode == THREADING or patched_for() == mode:
        check(mode)
        return
    _refuse_other(mode)
    _refuse_server(mode)
    _refuse_late(mode)
    if mode == EVENTLET:
        import_quietly("eventlet").monkey_patch()
    else:
        import_quietly("gevent.monkey").patch_all()
    check(mode)


def check(mode: str) -> None:
    """Make sure that this process may serve in an async mode.

    Args:
        mode: ``eventlet``, ``gevent`` (or engineio's ``gevent_uwsgi``) or ``threading``.

    Raises:
        PatchingError: it is not patched as the mode needs; the message says what to do.
    """
    mode = GEVENT if mode.startswith(GEVENT) else mode
    _refuse_other(mode)
    if mode != THREADING and patched_for() != mode:
        raise PatchingError(
            f"this process serves in {mode} mode, but its standard library is not patched for "
            f"{mode}, so that one waiting client would stop all others. Start it with `bridge "
            f"serve`, or make this its first line, before any other import: "
            f"{_FIRST_LINES.format(mode=mode)}; or set BRIDGE_ASYNC_MODE=threading"
        )


def driver_of(mode: str) -> str:
    """Return Engine.IO's name for an async mode: within uWSGI, gevent has uWSGI's own WebSocket."""
    # Nothing can import this but a program that uWSGI embeds, and there it always has been.
    return f"{GEVENT}_uwsgi" if mode == GEVENT and _loaded("uwsgi") else mode


def patched_for() -> str | None:
    """Return the mode that the standard library is wholly patched for, or None."""
    eventlet, gevent = _loaded("eventlet.patcher"), _loaded("gevent.monkey")
    if eventlet and all(eventlet.is_monkey_patched(name) for name in _NEEDED):
        return EVENTLET
    if gevent and all(gevent.is_module_patched(_gevent_name(name)) for name in _NEEDED):
        return GEVENT
    return None


def import_quietly(name: str) -> ModuleType:
    """Import eventlet, gevent or a part of them without eventlet's notice of its retirement.

    Raises:
        PatchingError: the package is not installed.
    """
    try:
        with warnings.catch_warnings():
            # The category can't be named before the import that warns.
            warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
            return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        fix = "pip install 'celery-bridge[web]'" if package == EVENTLET else "pip install gevent"
        raise PatchingError(
            f"the async mode {package} needs the package {package} ({error}): {fix}, "
            "or set BRIDGE_ASYNC_MODE=threading"
        ) from error


def _refuse_other(mode: str) -> None:
    for other, module, name in (
        (EVENTLET, _loaded("eventlet.patcher"), "is_monkey_patched"),
        (GEVENT, _loaded("gevent.monkey"), "is_module_patched"),
    ):
        if other != mode and module and getattr(module, name)("socket"):
            raise PatchingError(
                f"this process is patched for {other}, but the async mode is {mode}: "
                f"set BRIDGE_ASYNC_MODE={other}, or don't patch for {other}"
            )


def _refuse_server(mode: str) -> None:
    """Refuse where the server that loads us would go on in its own way, patched or not."""
    if any(map(_loaded, _THREADED_SERVERS)):
        raise PatchingError(
            f"gunicorn serves here in threads, but the async mode is {mode}: start it with "
            f"`gunicorn -k {mode} -w 1` (eventlet: gunicorn before 26), or set "
            "BRIDGE_ASYNC_MODE=threading"
        )
    uwsgi = _loaded("uwsgi")
    if uwsgi and (mode != GEVENT or GEVENT not in uwsgi.opt):
        raise PatchingError(
            f"uWSGI serves here without gevent, but the async mode is {mode}: start it with "
            "`uwsgi --gevent 1000`, and set BRIDGE_ASYNC_MODE=gevent"
        )


def _refuse_late(mode: str) -> None:
    threads = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
    if threads:
        raise PatchingError(
            f"it is too late to patch for {mode}: these threads run already and would keep "
            f"unpatched locks: {', '.join(threads)}. {_too_late(mode)}"
        )
    holders = _holders()
    if holders:
        raise PatchingError(
            f"it is too late to patch for {mode}: these modules were imported before and keep "
            f"unpatched parts of the standard library: {', '.join(holders)}. {_too_late(mode)}"
        )


def _too_late(mode: str) -> str:
    return (
        "Make this the first line of the program, before any other import: "
        f"{_FIRST_LINES.format(mode=mode)}"
    )


def _holders() -> list[str]:
    """Name the modules outside the standard library that copied what a patch replaces."""
    originals: dict[int, Any] = {}
    for module, names in _COPIED.items():
        for name in names:
            value = getattr(sys.modules.get(module), name, None)
            if value is not None:
                originals[id(value)] = value
    return sorted(
        name
        for name, module in list(sys.modules.items())
        if not _is_ours_or_standard(name)
        and any(id(value) in originals for value in list(getattr(module, "__dict__", {}).values()))
    )


def _is_ours_or_standard(name: str) -> bool:
    top = name.partition(".")[0]
    return top in sys.stdlib_module_names or top in ("__main__", "eventlet", "gevent", "greenlet")


def _loaded(name: str) -> Any:
    return sys.modules.get(name)


def _gevent_name(name: str) -> str:
    return "threading" if name == "thread" else name
