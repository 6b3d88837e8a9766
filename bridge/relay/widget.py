"""The widget's modules, as a node serves them: gzipped, and only where they changed."""

from __future__ import annotations

import gzip
from functools import lru_cache
from importlib.resources import files
from typing import Final

from flask import Request, Response

WIDGET: Final = "task-progress"
#: What the widget loads when a page needs it, and its build without Socket.IO's client.
PARTS: Final = frozenset({"list", "log", "looks", "peer", "tab", "workflow"})
_NOT_BUILT: Final = (
    "The widget was not built: install the package with `pip install .`, or run `make build` in a "
    "checkout.\n"
)


def module(name: str, request: Request) -> Response:
    """Answer with one of the widget's modules.

    Args:
        name: Its file, such as ``task-progress.js``.
        request: Says whether gzip is understood, and which version is there already.

    Returns:
        The module, gzipped where it may be; 304 for the version that is there; 503 where the
        widget was not built.
    """
    path = files("bridge") / "static" / name
    if not path.is_file():
        return Response(_NOT_BUILT, status=503, mimetype="text/plain")
    content = path.read_bytes()
    response = Response(content, mimetype="text/javascript")
    if request.accept_encodings.quality("gzip") > 0:
        response.set_data(_gzipped(content))
        response.content_encoding = "gzip"
    response.vary.add("Accept-Encoding")
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


@lru_cache(maxsize=len(PARTS) + 1)
def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=9, mtime=0)
