"""Refuse what another site makes a browser send, and tell browsers what our pages may do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Request, request

from bridge.errors import Forbidden

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        # No text can become markup or script, not even by a mistake of ours.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
#: Of what says nothing about it: tokens and jobs are in it.
CACHE_CONTROL = "no-store"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

Headers = list[tuple[str, str]]


def secured(application: WSGIApplication) -> WSGIApplication:
    """Add the security headers to all responses, also those that don't come from Flask.

    Args:
        application: a WSGI application; a header that it sets itself stays.
    """

    def secure(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: Headers, *rest: Any) -> Callable[[bytes], object]:
            return start_response(status, [*headers, *_missing(headers)], *rest)

        return application(environ, start)

    return secure


def _missing(headers: Headers) -> Headers:
    there = {name.lower() for name, _ in headers}
    wanted = {**HEADERS, "Cache-Control": CACHE_CONTROL}
    return [(name, value) for name, value in wanted.items() if name.lower() not in there]


def refuse_state_changes_from_other_sites() -> None:
    """Refuse a request to change something that a page of another site has started.

    Raises:
        Forbidden: it comes from another site.
    """
    if request.method not in SAFE_METHODS:
        refuse_other_sites(request)


def refuse_other_sites(request: Request) -> None:
    """Refuse a request that a page of another site has started.

    Browsers say where a request comes from in ``Sec-Fetch-Site``, older ones in ``Origin``.
    Programs such as curl say neither and carry no cookies that could be abused, so they pass.

    Raises:
        Forbidden: it comes from another site.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        raise Forbidden("this request comes from another site: use this node's own page")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise Forbidden("this request comes from another site: use this node's own page")
