"""Ports for the demo: one that is free, or the one that the user named."""

from __future__ import annotations

import errno
import socket

from bridge.errors import BridgeError


class PortRefused(BridgeError):
    """Nothing can listen on an address; the message says why and what to do."""


def free_port(host: str) -> int:
    """Return a port of this address that nobody listens on.

    Args:
        host: an address of this machine, or its name.

    Raises:
        PortRefused: the address is not one of this machine.
    """
    return _bound(host, 0)


def web_port(host: str, port: int | None, preferred: int) -> int:
    """Return the port for the web node.

    Args:
        host: an address of this machine, or its name.
        port: what the user asked for; None or 0: any.
        preferred: taken if the user asked for none and it is free.

    Raises:
        PortRefused: the port that the user asked for can't be had.
    """
    if port:
        return _bound(host, port)
    if port == 0:
        return free_port(host)
    try:
        return _bound(host, preferred)
    except PortRefused:
        return free_port(host)


def _bound(host: str, port: int) -> int:
    """Listen on an address for a moment and return its port."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            # As servers do, so that connections of an earlier run that linger are no obstacle.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1)
            return int(listener.getsockname()[1])
    except OSError as error:
        raise PortRefused(_why(host, port, error)) from error


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use: stop what listens there, set BRIDGE_PORT to "
            "another port, or unset it and a free one is found"
        )
    if error.errno == errno.EACCES:
        return f"port {port} needs rights that this user lacks: set BRIDGE_PORT to 1024 or higher"
    reason = error.strerror or str(error)
    return f"BRIDGE_HOST={host!r} is not an address of this machine ({reason}): try 127.0.0.1"
