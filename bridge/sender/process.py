"""What one process has: its settings, and one outbox for each of them, made anew after a fork."""

from __future__ import annotations

import atexit
import dataclasses
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from celery import Celery, current_app

from bridge.errors import SettingsError
from bridge.journal.results import Results
from bridge.sender.mirror import Mirror
from bridge.sender.outbox import Outbox
from bridge.settings import NOT_SHARED, NOTHING_TO_MIRROR_IN, Settings

if TYPE_CHECKING:
    from bridge.sender.emitter import Emitter

_lock = threading.Lock()
_outboxes: dict[Settings, Outbox] = {}
#: By app, not by its id: the next app may get the id of one that is gone.
_settings: weakref.WeakKeyDictionary[Celery, Settings] = weakref.WeakKeyDictionary()


def settings_of(app: Celery | None = None) -> Settings:
    """Return the settings of a Celery app, read once.

    Inside a Flask app with a `Bridge` they are that bridge's, so that what a view submits goes
    where its own node listens.

    Args:
        app: default: the Flask app's, else those of the current Celery app.

    Raises:
        SettingsError: a ``BRIDGE_*`` name or value is wrong.
    """
    if app is None:
        ours = _settings_of_flask()
        if ours is not None:
            return ours
        app = current_app._get_current_object()  # type: ignore[attr-defined]
    found = _settings.get(app)
    if found is None:
        config = {key: app.conf[key] for key in app.conf if str(key).upper().startswith("BRIDGE_")}
        found = _settings[app] = _with_backend(Settings.load(config=config), app)
    return found


def _with_backend(settings: Settings, app: Celery) -> Settings:
    """Where results are the journal, they are those of the app, unless another is named."""
    if not settings.in_result_backend or settings.result_backend:
        return settings
    return dataclasses.replace(settings, result_backend=app.conf.result_backend)


def settings_for(task: Any) -> Settings:
    """Return the settings for something that is to be started.

    Args:
        task: a task, a signature, or a task's name. Outside a Flask app with a `Bridge`, the
            settings are those of its own Celery app, which need not be the current one.
    """
    return _settings_of_flask() or settings_of(getattr(task, "app", None))


def _settings_of_flask() -> Settings | None:
    flask: Any = sys.modules.get("flask")
    if flask is None or not flask.has_app_context():
        return None
    bridge = flask.current_app.extensions.get("celery-bridge")
    return None if bridge is None else bridge.settings


def outbox_of(settings: Settings) -> Outbox:
    """Return this process's outbox for these settings; it connects with its first message."""
    found = _outboxes.get(settings)
    if found is not None:
        return found
    with _lock:
        if settings not in _outboxes:
            mirror = mirror_of(settings)
            _outboxes[settings] = Outbox(settings, open_emitter(settings, mirror), mirror)
        return _outboxes[settings]


def mirror_of(settings: Settings) -> Mirror | None:
    """Return what mirrors the tasks of these settings; None: nothing is to.

    Raises:
        SettingsError: MIRROR is on, and the Celery app has no result backend that others can read.
    """
    app = _app_of(settings)
    if not settings.mirrors or app is None:
        return None
    url = app.conf.result_backend
    if url and not url.startswith(NOT_SHARED):
        return Mirror(settings, Results(url, app))
    if settings.mirror:
        raise SettingsError("BRIDGE_MIRROR", True, NOTHING_TO_MIRROR_IN)
    return None


def _app_of(settings: Settings) -> Celery | None:
    return next((app for app, found in tuple(_settings.items()) if found == settings), None)


def open_emitter(settings: Settings, mirror: Mirror | None = None) -> Emitter:
    """Make an emitter, and load all that it will need.

    Flask-SocketIO takes a third of a second to import: only processes that send pay for it, and a
    prefork parent pays once for its children. It must not happen in the sender thread: a child
    that is forked meanwhile would inherit half-loaded modules.
    """
    import encodings.idna  # noqa: F401 - what a connection loads when it looks up its host

    from bridge.sender.emitter import Emitter

    return Emitter(settings, mirror, _app_of(settings))


def flush_all() -> None:
    """Wait until everything is sent, at most FLUSH_TIMEOUT seconds an outbox."""
    for settings, outbox in tuple(_outboxes.items()):
        outbox.flush(settings.flush_timeout)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _outboxes.clear()


os.register_at_fork(after_in_child=_after_fork)
# Processes that only submit end by themselves; prefork children never get here (they end by
# os._exit), the lifecycle's signal handler flushes for them.
atexit.register(flush_all)
