"""A Django project's settings, as far as Celery and the bridge read them."""

import os

SECRET_KEY = os.environ["BRIDGE_SECRET_KEY"]
INSTALLED_APPS = ["mysite"]
USE_TZ = True

CELERY_BROKER_URL = os.environ["BRIDGE_MESSAGE_QUEUE"]
CELERY_TASK_DEFAULT_QUEUE = "mysite"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Settings of the bridge stand here with the same prefix, unless they are in the environment.
CELERY_BRIDGE_LEASE = 10
