"""celery-bridge: live progress, events and outcome of Celery tasks in the browser.

    In a worker    `push_progress` `Progress` `current_progress` `emit` `JobCancelled`
    In a web app   `Bridge` `init_app` `submit` `Job` `issue_token`
    Errors         `BridgeError` and its tree in `bridge.errors`

Names are loaded when they are first used: a worker loads nothing of the web side, and no import of
this package monkey-patches anything.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bridge.errors import (
    BridgeError,
    DecoratorError,
    InvalidId,
    JobCancelled,
    PatchingError,
    PayloadError,
    PayloadTooLarge,
    QueueUnavailable,
    Refused,
    ReservedName,
    SettingsError,
    StageError,
)
from bridge.version import VERSION

if TYPE_CHECKING:
    from bridge.relay.extension import Bridge, init_app
    from bridge.sender.decorator import push_progress
    from bridge.sender.events import emit
    from bridge.sender.progress import Progress, current_progress
    from bridge.sender.submit import Job, issue_token, submit

__version__ = VERSION

__all__ = [  # noqa: RUF022 - in the order of the docstring
    # In a worker
    "push_progress",
    "Progress",
    "current_progress",
    "emit",
    "JobCancelled",
    # In a web app
    "Bridge",
    "init_app",
    "submit",
    "Job",
    "issue_token",
    # Errors
    "BridgeError",
    "DecoratorError",
    "InvalidId",
    "PatchingError",
    "PayloadError",
    "PayloadTooLarge",
    "QueueUnavailable",
    "Refused",
    "ReservedName",
    "SettingsError",
    "StageError",
]

_LAZY = {
    "push_progress": "bridge.sender.decorator",
    "Progress": "bridge.sender.progress",
    "current_progress": "bridge.sender.progress",
    "emit": "bridge.sender.events",
    "Job": "bridge.sender.submit",
    "submit": "bridge.sender.submit",
    "Bridge": "bridge.relay.extension",
    "init_app": "bridge.relay.extension",
    "issue_token": "bridge.sender.submit",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'bridge' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
