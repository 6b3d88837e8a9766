"""Say no: as JSON to scripts, as a page to people."""

from __future__ import annotations

from flask import Flask, Request, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from bridge.errors import Refused

SCRIPTS = "/demo/"
NO_STORE = {"Cache-Control": "no-store"}
#: What a page says, by the code of the refusal: (heading, what to do).
TOLD = {
    "forbidden": (
        "Not yours to see",
        "There is no such job, or it belongs to somebody else. If it is yours, sign in as who "
        "started it, or ask its owner for a link.",
    ),
    "expired": ("This link has expired", "Ask whoever sent it to you for a fresh one."),
    "unknown_job": (
        "Nothing is known of this job",
        "It may have been forgotten: jobs are kept for a day. Or it has not begun yet.",
    ),
    "unavailable": (
        "The journal doesn't answer",
        "Jobs go on in the meantime. This page tries again by itself.",
    ),
    "not_found": ("Nothing here", "The address leads nowhere."),
}
OTHER = ("That didn't work", "")


def wants_page(request: Request) -> bool:
    """Whether a browser asks for something to show, and no script or program for data."""
    accepted = request.accept_mimetypes.best_match(("application/json", "text/html"))
    return accepted == "text/html"


def refused_page(error: Refused) -> ResponseReturnValue:
    """Return a page that says why something is refused."""
    return _page(error.code, str(error)), error.status, NO_STORE


def handle_errors(app: Flask) -> None:
    """Let all that goes wrong be told as JSON under `/demo/`, as a page elsewhere."""

    @app.errorhandler(Refused)
    def refused(error: Refused) -> ResponseReturnValue:
        if not request.path.startswith(SCRIPTS) or wants_page(request):
            return refused_page(error)
        return jsonify(error=error.code, message=str(error)), error.status

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> ResponseReturnValue:
        code = (error.name or "error").lower().replace(" ", "_")
        status = error.code or 500
        headers = {name: value for name, value in error.get_headers() if name == "Allow"}
        if request.path.startswith(SCRIPTS) and not wants_page(request):
            return jsonify(error=code, message=error.description), status, headers
        if status < 400:
            return error.get_response()
        return _page(code, error.description or ""), status, headers


def _page(code: str, message: str) -> str:
    heading, advice = TOLD.get(code, OTHER)
    return render_template("refused.html", code=code, heading=heading, advice=advice or message)
