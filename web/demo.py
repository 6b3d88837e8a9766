"""Start a job of the catalog, `POST /demo/jobs/<name>`; renew its token, `GET ../<id>/token`."""

from __future__ import annotations

from typing import Any

from celery import Celery
from flask import Blueprint, current_app, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from werkzeug.exceptions import NotFound

from bridge import Bridge, submit
from bridge.errors import Forbidden, QueueUnavailable, Unavailable
from bridge.settings import Settings
from web.catalog import JobKind
from web.fields import shown
from web.guard import refuse_other_sites
from web.identity import someone
from web.inputs import read_fields, read_files
from web.refusals import NO_STORE, wants_page
from web.subjects import keep, subject_of
from web.uploads import Uploads

QUEUE = "workers"
#: Whoever starts a job here may also stop it.
ACTIONS = ("watch", "cancel")
TOKEN_SECONDS = 3600

blueprint = Blueprint("demo", __name__, url_prefix="/demo")


@blueprint.post("/jobs/<name>")
def start_job(name: str) -> ResponseReturnValue:
    """Start a job; answers 201 with its id and the token to watch and cancel it.

    A form that is sent without a script leads to the job's page.
    """
    kinds: dict[str, JobKind] = current_app.extensions["demo-catalog"]
    if name not in kinds:
        raise NotFound(f"there is no job {shown(name)}; there are {', '.join(kinds)}")
    kind = kinds[name]
    files = read_files(kind, request)
    values = read_fields(kind, request)
    uploads: Uploads = current_app.extensions["demo-uploads"]
    uploads.sweep()
    saved: list[tuple[str, str]] = []
    try:
        saved.extend(map(uploads.save, files))
        job = enqueue(kind, kind.arguments(values, saved))
    except BaseException:
        uploads.discard([upload for upload, _ in saved])
        raise
    keep(job.id, subject_of(kind, values, [title for _, title in saved]))
    if wants_page(request):
        return redirect(url_for("job_page.page", job=job.id), 303)
    return jsonify(job=job.id, token=job.token), 201, NO_STORE


@blueprint.get("/jobs/<job>/token")
def fresh_token(job: str) -> ResponseReturnValue:
    """Give whose job it is a fresh token for it; answers with its lifetime, too."""
    refuse_other_sites(request)
    return told(granted(job, ACTIONS))


@blueprint.post("/jobs/<job>/link")
def link(job: str) -> ResponseReturnValue:
    """Give whose job it is a token that they may pass on: it shows the job, for an hour.

    A form that is sent without a script leads to a page with the link.
    """
    token = granted(job, ("watch",))
    if not wants_page(request):
        return told(token)
    # The browser knows by which address people come here; a proxy may not have told us.
    site = request.headers.get("Origin", request.host_url.rstrip("/"))
    address = site + url_for("job_page.page", job=job, token=token)
    return render_template("link.html", job=job, address=address), NO_STORE


def told(token: str) -> ResponseReturnValue:
    """Answer with a token and its lifetime."""
    return jsonify(token=token, expires_in=TOKEN_SECONDS), 200, NO_STORE


def granted(job: str, actions: tuple[str, ...]) -> str:
    """Return a token for a job, if the visitor's session allows all that the token would.

    Raises:
        Refused: it doesn't, whether the job exists or not.
    """
    bridge: Bridge = current_app.extensions["celery-bridge"]
    # Who may only watch, because all is public, has nothing to pass on.
    if "cancel" not in bridge.look(job, since=-1)["actions"] or bridge.tokens is None:
        raise Forbidden("this job is not yours, or nobody needs a token here")
    return bridge.issue_token(job, actions=actions, expires=TOKEN_SECONDS)


def enqueue(kind: JobKind, arguments: dict[str, Any]) -> Any:
    """Start a task by its name, as a job of who uses this browser.

    Raises:
        Unavailable: the message queue doesn't answer.
    """
    try:
        return submit(kind.task, kwargs=arguments, user=someone().id, actions=ACTIONS, queue=QUEUE)
    except (QueueUnavailable, OperationalError, RedisError, OSError) as error:
        raise Unavailable("the message queue doesn't answer: try again in a moment") from error


def make_client(settings: Settings) -> Celery:
    """Make the Celery app that only sends tasks, and make it the default one.

    It has no result backend: with one, each task sent would be subscribed to and never let go.
    """
    client = Celery("web", broker=settings.message_queue)
    client.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=False,
        broker_transport_options={"socket_connect_timeout": 2, "socket_timeout": 5},
        # A person waits for the answer.
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.1},
    )
    client.set_default()
    return client
