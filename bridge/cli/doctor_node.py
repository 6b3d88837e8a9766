"""`bridge doctor --url`: a running node, or several behind a proxy, asked from outside."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from typing import Any, Final

from bridge.cli.finding import Finding
from bridge.relay.patching import LATE, first_line

ANSWER_SECONDS: Final = 10
#: So many clients poll, each some times by new connections, to see whether one node answers each.
CLIENTS: Final = 4
_POLLS: Final = 4
_STICKY: Final = (
    "make the proxy sticky, as docker/nginx/ip-hash.conf or cookie.conf do, or let clients use "
    "WebSocket only"
)


def look_at(url: str) -> Iterator[Finding]:
    """Ask what answers at an address.

    Args:
        url: without a slash at its end.
    """
    try:
        report = _readiness(url)
    except (OSError, ValueError) as error:
        yield Finding(False, f"node at {url}: {error}", "start it, or correct the address")
        return
    yield Finding(
        True, f"node at {url}: {report['mode']} mode, version {report['versions']['own']}"
    )
    yield _patched(report["mode"], report["patched"])
    yield Finding(
        report["queue"]["heard"],
        "node: hears the message queue",
        "look at its log; BRIDGE_MESSAGE_QUEUE and BRIDGE_CHANNEL must be those of the workers",
    )
    yield Finding(
        report["journal"]["reachable"], "node: reaches the journal", "correct BRIDGE_JOURNAL"
    )
    others = report["versions"]["others"]
    yield Finding(
        not others,
        f"node: other versions on its channel: {', '.join(others) or 'none'}",
        "run the same version everywhere, or give each a BRIDGE_CHANNEL of its own",
    )
    for promise in report["promises_off"]:
        fix = "use a Redis journal if you need it"
        yield Finding(False, f"node: promise off: {promise}", fix, needed=False)
    try:
        sticky = all(_stays(url) for _ in range(CLIENTS))
    except (OSError, ValueError) as error:
        yield Finding(False, f"polling at {url}: {error}", "pass /socket.io/ on to the node")
        return
    yield Finding(sticky, "clients that poll come to the same node each time", _STICKY)


def _patched(mode: str, patched: dict[str, Any]) -> Finding:
    if patched["when"] == LATE:
        names = ", ".join(patched["unpatched"])
        what = f"node: patched too late: {names} were imported before"
        return Finding(False, what, first_line(mode.partition("_")[0]))
    return Finding(True, f"node: patched: {patched['when']}")


def _readiness(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=ANSWER_SECONDS) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 503:
                return dict(json.load(error))
        raise


def _stays(url: str) -> bool:
    """Poll as one client of Engine.IO's does; whether each poll was known."""
    cookies = urllib.request.HTTPCookieProcessor(CookieJar())
    opener = urllib.request.build_opener(cookies)
    address = f"{url}/socket.io/?EIO=4&transport=polling"
    with opener.open(address, timeout=ANSWER_SECONDS) as answer:
        opened = json.loads(answer.read()[1:])
    address += f"&sid={opened['sid']}"
    try:
        for _ in range(_POLLS):
            # Each by a connection of its own. A pong says nothing, and is always allowed.
            opener.open(address, data=b"3", timeout=ANSWER_SECONDS).close()
        opener.open(address, data=b"1", timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError as error:
        error.close()
        return False
    return True
