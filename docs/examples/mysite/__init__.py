"""Django's usual way with Celery; only the worker needs the bridge. `celery -A mysite worker`."""

from .celery import app as celery_app

__all__ = ["celery_app"]
