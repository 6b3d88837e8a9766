"""The relay: what runs in a web node and brings jobs to browsers.

`Bridge` puts it into a Flask app. Importing this package loads neither Flask nor eventlet and
patches nothing, so that a Celery worker may import an application that uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.relay.extension import Bridge, init_app

__all__ = ["Bridge", "init_app"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from bridge.relay import extension

        return getattr(extension, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
