"""Django gives tokens, a bare node relays: `bridge serve` knows nothing of Django's sessions.

    pip install celery-bridge django
    export BRIDGE_MESSAGE_QUEUE=redis://127.0.0.1:6379/0 BRIDGE_SECRET_KEY=...
    celery -A tasks worker & python django_app.py runserver 8000 &
    BRIDGE_CORS_ORIGINS=http://127.0.0.1:8000 bridge serve    # needs celery-bridge[web]

Give the node's address in NODE_URL if it isn't http://127.0.0.1:5000.
"""

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.urls import path
from django.utils.html import format_html
from django.views.decorators.http import require_GET, require_POST

from bridge import issue_token, submit
from bridge.settings import Settings

NODE_URL = os.environ.get("NODE_URL", "http://127.0.0.1:5000")
MINUTES_10 = 600

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    SECRET_KEY=Settings.load().require_secret()[0],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    INSTALLED_APPS=["django.contrib.sessions"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
)


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse(
        format_html(
            '<form method="post" action="/jobs">'
            '<input type="hidden" name="csrfmiddlewaretoken" value="{}">'
            "<button>Start</button></form>",
            get_token(request),
        )
    )


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    from tasks import count  # it makes this process's Celery app the default one

    job = submit(count, [20])
    # Whose job it is: in an app with logins, keep this in your database.
    request.session["jobs"] = [*request.session.get("jobs", []), job.id][-50:]
    return redirect(f"/jobs/{job.id}")


@require_GET
def show(request: HttpRequest, job: str) -> HttpResponse:
    return HttpResponse(
        format_html(
            '<script type="module" src="{}/bridge/task-progress.js"></script>'
            '<task-progress job="{}" token-url="/jobs/{}/token"></task-progress>',
            NODE_URL,
            job,
            job,
        )
    )


@require_GET
def token(request: HttpRequest, job: str) -> HttpResponse:
    """Sign a token for whoever may see the job: this is where the permission is decided."""
    if job not in request.session.get("jobs", []):
        return HttpResponseForbidden()
    response = JsonResponse({"token": issue_token(job, expires=MINUTES_10)})
    response["Cache-Control"] = "no-store"
    return response


urlpatterns = [
    path("", home),
    path("jobs", start),
    path("jobs/<str:job>", show),
    path("jobs/<str:job>/token", token),
]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
