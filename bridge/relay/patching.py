"""Monkey-patching: the only place that does it, and the check that it was done in time.

Too late or too narrow a patch hangs a node, and one that leaks into a Celery worker hangs that. So
a serving process patches before it imports anything else, and the relay refuses to start in a
process that is not patched as its async mode needs. Importing this module patches nothing.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, ModuleType
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
#: Where these say that they come from, if that isn't where others take them from.
_ORIGINS: Final = {"_queue": "queue", "_socket": "socket"}
#: Eventlet's green copies of modules, which others import on purpose.
_GREEN: Final = ("eventlet.green.", "__patched_module_")
_NEEDED: Final = ("os", "select", "socket", "thread", "time")
#: Of gunicorn's workers only the chosen one is loaded.
_THREADED_SERVERS: Final = ("gunicorn.workers.gthread", "gunicorn.workers.sync")
AT_START: Final = "at start"
LATE: Final = "late"
NOT: Final = "not"
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
    _refuse_uwsgi(mode)
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


@dataclass(frozen=True, slots=True)
class Patched:
    """How this process was patched.

    Attributes:
        when: ``at start``, ``late`` (something keeps unpatched parts) or ``not``.
        unpatched: the modules that keep unpatched parts of the standard library.
    """

    when: str
    unpatched: tuple[str, ...] = ()


@functools.cache
def how_patched() -> Patched:
    """Tell whether this process was patched before anything else was imported; asked once."""
    if patched_for() is None:
        return Patched(NOT)
    names = tuple(sorted(_keepers()))
    return Patched(LATE, names) if names else Patched(AT_START)


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
    _refuse_uwsgi(mode)


def _refuse_uwsgi(mode: str) -> None:
    """Refuse within uWSGI whatever is not gevent: only there it has WebSocket for us."""
    uwsgi = _loaded("uwsgi")
    if uwsgi and (mode != GEVENT or GEVENT not in uwsgi.opt):
        how = "with" if GEVENT in uwsgi.opt else "without"
        raise PatchingError(
            f"uWSGI serves here {how} gevent, but the async mode is {mode}: start it with "
            "`uwsgi --gevent 1000`, and set BRIDGE_ASYNC_MODE=gevent"
        )


def _refuse_late(mode: str) -> None:
    threads = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
    if threads:
        raise PatchingError(
            f"it is too late to patch for {mode}: these threads run already and would keep "
            f"unpatched locks: {', '.join(threads)}. {first_line(mode)}"
        )
    holders = _holders()
    if holders:
        raise PatchingError(
            f"it is too late to patch for {mode}: these modules were imported before and keep "
            f"unpatched parts of the standard library: {', '.join(holders)}. {first_line(mode)}"
        )


def first_line(mode: str) -> str:
    """Return what to do about a patch that comes too late."""
    return (
        "Make this the first line of the program, before any other import: "
        f"{_FIRST_LINES.format(mode=mode)}; under a program that can't, such as `flask run`, set "
        "BRIDGE_ASYNC_MODE=threading"
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


def _keepers() -> Iterator[str]:
    """Name the modules outside the standard library that keep what a patch has replaced."""
    names = {(module, name) for module, found in _COPIED.items() for name in found}
    replacements = {
        id(getattr(sys.modules.get(place + module), name, None))
        for module, name in names
        for place in ("", *_GREEN)
    }
    for name, module in list(sys.modules.items()):
        if _is_ours_or_standard(name):
            continue
        for value in list(getattr(module, "__dict__", {}).values()):
            # By their very types: a proxy that is asked for anything may raise.
            if type(value) not in (type, FunctionType, BuiltinFunctionType):
                continue
            origin = _ORIGINS.get(str(value.__module__), value.__module__)
            if (origin, value.__name__) in names and id(value) not in replacements:
                yield name
                break


def _is_ours_or_standard(name: str) -> bool:
    top = name.partition(".")[0]
    # Eventlet has copies of its own (`__original_module_...`), and replaces parts of dnspython.
    return (
        top in sys.stdlib_module_names
        or top in ("eventlet", "gevent", "greenlet", "dns")
        or top.startswith("__")
    )


def _loaded(name: str) -> Any:
    return sys.modules.get(name)


def _gevent_name(name: str) -> str:
    return "threading" if name == "thread" else name
