"""Refuse what another site makes a browser send, and tell browsers what our pages may do."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Request, Response

from bridge.errors import Forbidden

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def secure(response: Response) -> Response:
    """Add the security headers that a response doesn't set itself."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def refuse_other_sites(request: Request) -> None:
    """Refuse a request that a page of another site has started.

    Browsers say where a request comes from in ``Sec-Fetch-Site``, older ones in ``Origin``.
    Programs such as curl say neither and carry no cookies that could be abused, so they pass.

    Raises:
        Forbidden: it comes from another site.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        raise Forbidden("this request comes from another site: start the job on this node's page")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise Forbidden("this request comes from another site: start the job on this node's page")
