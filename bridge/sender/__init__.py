"""What runs in a Celery worker, and wherever tasks are started."""
