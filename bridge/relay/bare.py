"""The bare node: an application with nothing but the bridge, for `bridge serve`."""

from __future__ import annotations

from typing import Any, Final

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from bridge.relay.extension import Bridge

#: What keeps a browser from making more of an answer than it is; nothing here is a page.
PROTECTION: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def bare_app(**settings: Any) -> tuple[Flask, Bridge]:
    """Return an application with nothing but the bridge.

    Args:
        **settings: as for `Bridge`.
    """
    app = Flask("bridge.node")
    app.register_error_handler(HTTPException, _refuse)
    app.after_request(_protect)
    return app, Bridge(app, **settings)


def _refuse(error: HTTPException) -> Any:
    """Answer in JSON what no route of the bridge answers, such as an unknown address."""
    status = error.code or 500
    code = "unavailable" if status >= 500 else "bad_request"
    headers = {name: value for name, value in error.get_headers() if name == "Allow"}
    return jsonify(ok=False, error=code, message=error.description), status, headers


def _protect(response: Response) -> Response:
    for name, value in PROTECTION.items():
        response.headers.setdefault(name, value)
    return response
