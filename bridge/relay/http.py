"""The node's HTTP routes: health, metrics, a job's snapshot and stream, cancelling, the widget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from flask import Blueprint, Response, abort, jsonify, request

from bridge.errors import BadRequest, InvalidId, QueueUnavailable, Refused
from bridge.relay.answers import Answers, refusal
from bridge.relay.caller import Caller, caller_of
from bridge.relay.metrics import CONTENT_TYPE, Metrics, check_reader
from bridge.relay.patching import how_patched
from bridge.relay.relay import Relay
from bridge.relay.requests import MAX_SEQ, Cancel, seq_number
from bridge.relay.streams import Streams
from bridge.relay.widget import PARTS, WIDGET, module
from bridge.rooms import check_job_id
from bridge.settings import Settings
from bridge.version import VERSION

#: A node that heard itself this many seconds ago hears the queue.
HEARD_SECONDS: Final = 5.0
#: So many modules that keep unpatched parts are named.
_NAMED: Final = 10


class Serving(Protocol):
    """What one process serves with."""

    @property
    def relay(self) -> Relay:
        """Brings jobs to clients."""

    @property
    def answers(self) -> Answers:
        """Answers requests."""

    @property
    def streams(self) -> Streams:
        """Server-sent events."""

    @property
    def metrics(self) -> Metrics:
        """Its figures."""


def make_blueprint(
    settings: Settings, serving: Callable[[], Serving], mode: Callable[[], str]
) -> Blueprint:
    """Return the routes.

    Args:
        settings: allowed origins, proxies, and the key to the metrics.
        serving: gives what this process serves with, starting it the first time.
        mode: gives the server's async mode.
    """
    routes = Blueprint("bridge", __name__)

    def caller() -> Caller:
        return caller_of(request.environ, settings.trusted_proxies)

    @routes.get("/healthz")
    def healthz() -> Response:
        return jsonify(ok=True)

    @routes.get("/readyz")
    def readyz() -> tuple[Response, int]:
        report = _readiness(serving().relay, mode())
        return jsonify(report), 200 if report["ready"] else 503

    @routes.get("/metrics")
    def metrics() -> Response:
        check_reader(caller(), settings.metrics_key, _bearer())
        return Response(serving().metrics.text(), content_type=CONTENT_TYPE)

    @routes.get("/bridge/jobs/<job>")
    def snapshot(job: str) -> Response:
        return jsonify(serving().answers.snapshot(_job(job), _since(), _token(), caller()))

    @routes.get("/bridge/jobs/<job>/events")
    def events(job: str) -> Response:
        stream = serving().streams.open(_job(job), _last_event(), _token(), caller())
        return Response(
            stream, mimetype="text/event-stream",
            headers={"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"},
        )  # fmt: skip

    @routes.post("/bridge/jobs/<job>/cancel")
    def cancel(job: str) -> Response:
        asked = Cancel(_job(job), _token(), _terminate())
        return jsonify(serving().answers.cancel(asked, caller()))

    @routes.get(f"/bridge/{WIDGET}.js")
    def widget() -> Response:
        return module(f"{WIDGET}.js", request)

    @routes.get(f"/bridge/{WIDGET}.<part>.js")
    def widget_part(part: str) -> Response:
        if part not in PARTS:
            abort(404)
        return module(f"{WIDGET}.{part}.js", request)

    @routes.errorhandler(Refused)
    def refuse(error: Refused) -> tuple[Response, int]:
        return jsonify(refusal(error)), error.status

    @routes.after_request
    def finish(response: Response) -> Response:
        # Answers are for one user at one moment; only the widget says otherwise.
        response.headers.setdefault("Cache-Control", "no-store")
        return _allow_origins(response, settings.cors_origins)

    return routes


def _readiness(relay: Relay, mode: str) -> dict[str, Any]:
    heard = relay.heard_seconds
    hears = heard is not None and heard <= HEARD_SECONDS
    try:
        relay.reader.ping()
        journal = True
    except QueueUnavailable:
        journal = False
    patched = how_patched()
    return {
        "ready": hears and journal,
        "queue": {"heard": hears, "seconds": None if heard is None else round(heard, 3)},
        "journal": {"reachable": journal},
        "mode": mode,
        "patched": {"when": patched.when, "unpatched": list(patched.unpatched[:_NAMED])},
        "versions": {"own": VERSION, "others": list(relay.versions.others)},
        "promises_off": list(relay.promises_off),
    }


def _job(job: str) -> str:
    try:
        return check_job_id(job)
    except InvalidId as error:
        raise BadRequest(str(error)) from None


def _since() -> int:
    return _seq("since", request.args.get("since", "0"))


def _last_event() -> int:
    """Return the seq of the last event that a reconnecting client has."""
    given = request.headers.get("Last-Event-ID", "").strip()
    return _seq("Last-Event-ID", given) if given else _since()


def _seq(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_SEQ))):
        raise BadRequest(f"{name}: a whole number from 0 to 2^53 is needed")
    return seq_number(int(text))


def _terminate() -> bool:
    text = request.args.get("terminate", "false")
    if text not in ("true", "false"):
        raise BadRequest("terminate: true or false is needed")
    return text == "true"


def _token() -> str | None:
    given = _bearer()
    return request.args.get("token") if given is None else given


def _bearer() -> str | None:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else None


def _allow_origins(response: Response, origins: tuple[str, ...]) -> Response:
    """Let pages of the allowed origins read what GET routes answer, and import the widget."""
    origin = request.headers.get("Origin", "")
    if not origins or request.method not in ("GET", "HEAD", "OPTIONS"):
        return response
    response.vary.add("Origin")
    if origin and (origin in origins or "*" in origins):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Headers"] = "Authorization"
        response.headers["Access-Control-Allow-Methods"] = "GET"
    return response
