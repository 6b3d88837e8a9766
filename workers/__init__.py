"""The Celery app that this repository deploys: real tasks whose progress can be watched.

    app             the Celery app, `celery -A workers.app worker`
    checksum        hashes the files of a folder
    csv_import      loads an uploaded CSV file into SQLite
    words           counts the words of uploaded texts
    flaky           fails and tries again, as often as asked
    metronome       steps at an even pace, for measuring
    folders         which folders may be read
    uploads         where uploaded files lie

Two variables are read besides ``BRIDGE_*``: ``DEMO_FOLDERS`` and ``DEMO_UPLOADS``.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    """Let `celery -A workers` find the app by the name that it looks for, loaded only then."""
    if name == "celery":
        from workers.app import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
