"""Which pages may talk to the node: those of its own origin, and those that the settings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

#: The setting that allows every origin.
ANY_ORIGIN: Final = "*"


class AllowedOrigins:
    """Decides about an ``Origin`` header, in the form in which python-engineio asks.

    Args:
        origins: the origins of `CORS_ORIGINS`; ``*`` allows all.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origins)

    def __call__(self, origin: str | None, environ: Mapping[str, str] | None = None) -> bool:
        """Return whether a page of that origin may connect."""
        return (
            ANY_ORIGIN in self._origins
            or origin in self._origins
            or origin in own_origins(environ or {})
        )


def own_origins(environ: Mapping[str, str]) -> set[str]:
    """Return the origins under which a request reached the node, directly or by a proxy.

    A page can't make a browser send any of these headers, so they may be believed.
    """
    scheme, host = environ.get("wsgi.url_scheme"), environ.get("HTTP_HOST")
    outer_scheme = environ.get("HTTP_X_FORWARDED_PROTO", scheme or "").split(",")[0].strip()
    outer_host = environ.get("HTTP_X_FORWARDED_HOST", host or "").split(",")[0].strip()
    return {f"{scheme}://{host}", f"{outer_scheme}://{outer_host}"}
