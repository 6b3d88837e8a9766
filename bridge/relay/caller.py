"""Who asks: from which address, and whether the browser's cookies may speak for them.

A page of another site can make a browser connect here with this site's cookies, so cookies decide
only where the browser says that the page is ours.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.relay.origins import own_origins

Environ = Mapping[str, Any]

UNKNOWN_ADDRESS = "unknown"
#: Some proxies add the port: an unknown address would be counted by nobody.
_WITH_PORT = re.compile(r"(\d[\d.]*):\d+|\[([^\]]*)\](?::\d+)?")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        address: the client's IP address, as far as it is known.
        environ: the WSGI environment of its request, or of its connection's handshake.
        own_site: whether cookies may decide.
    """

    address: str
    environ: Environ
    own_site: bool


def caller_of(environ: Environ, proxies: int) -> Caller:
    """Tell who sends a request.

    Args:
        environ: the request's WSGI environment.
        proxies: how many proxies stand before the node.
    """
    return Caller(address_of(environ, proxies), environ, is_own_site(environ))


def address_of(environ: Environ, proxies: int) -> str:
    """Return the address of a client, as its nearest trusted proxy saw it.

    What stands further left in ``X-Forwarded-For`` is what the client wrote itself.
    """
    hops = [*environ.get("HTTP_X_FORWARDED_FOR", "").split(",")] if proxies else []
    hops = [hop.strip() for hop in hops if hop.strip()] + [environ.get("REMOTE_ADDR") or ""]
    try:
        return str(_unmapped(hops[max(0, len(hops) - 1 - proxies)]))
    except ValueError:
        return UNKNOWN_ADDRESS


def counted_as(address: str) -> str:
    """Return what connections are counted by: an IPv6 client owns a /64, not one address."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network(f"{address.partition('%')[0]}/64", strict=False))


def is_this_machine(address: str) -> bool:
    """Whether it is a loopback address, or the unknown one of a Unix socket."""
    return address == UNKNOWN_ADDRESS or ipaddress.ip_address(address).is_loopback


def is_own_site(environ: Environ) -> bool:
    """Whether cookies may decide about a request.

    Browsers name the page's site in ``Origin`` or ``Sec-Fetch-Site``. Neither: a program, or an old
    browser's plain GET, whose answer another site's page can't read, but for JSONP. What changes
    something must come with a proof.
    """
    origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE")
    if origin is not None and origin not in own_origins(environ):
        return False
    is_read = environ.get("REQUEST_METHOD") in ("GET", "HEAD")
    if site is not None:
        return site == "same-origin" or (site == "none" and is_read)
    return origin is not None or (is_read and not _is_jsonp(environ))


def _is_jsonp(environ: Environ) -> bool:
    query = environ.get("QUERY_STRING", "")
    return any(part.partition("=")[0] == "j" for part in query.split("&"))


def _unmapped(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    with_port = _WITH_PORT.fullmatch(text)
    address = ipaddress.ip_address(with_port[1] or with_port[2] if with_port else text)
    return getattr(address, "ipv4_mapped", None) or address
