"""Clients that come as browsers do: with cookies, an origin, and from an address."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import requests
import socketio

from bridge.settings import Settings
from tests.nodes import NAMESPACE, Client, Node

PROGRAM = [sys.executable, str(Path(__file__).parent / "login_app.py")]


class LoginNode(Node):
    """The app with Flask-Login in a process of its own."""

    def __init__(self, settings: Settings, **environ: str) -> None:
        super().__init__(settings, program=PROGRAM, **environ)

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = requests.get(f"{self.url}/counts", timeout=30).json()
        return counts

    def cookies(self, user: str) -> str:
        """The cookies of a browser in which somebody has logged in."""
        answer = requests.get(f"{self.url}/login/{user}", timeout=30)
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in answer.cookies)


class Guest(Client):
    """A client with headers of its own; a refused one raises socketio's ConnectionError."""

    def __init__(
        self, url: str, headers: dict[str, str] | None = None, transport: str = "websocket"
    ) -> None:
        self.namespace = NAMESPACE
        self.received: list[tuple[str, Any]] = []
        given = dict(headers or {})
        # websocket-client sends an Origin of its own beside one among the headers.
        moved = transport == "websocket" and "Origin" in given
        origin = {"origin": given.pop("Origin")} if moved else {}
        self.sio = socketio.Client(
            handle_sigint=False, reconnection=False, websocket_extra_options=origin
        )
        self.sio.on("*", self._receive, namespace=NAMESPACE)
        try:
            self.sio.connect(
                url, headers=given, namespaces=[NAMESPACE], transports=[transport], wait_timeout=30
            )
        except socketio.exceptions.ConnectionError:
            if self.sio.eio.http is not None:
                self.sio.eio.http.close()
            raise

    def _receive(self, name: str, data: Any) -> None:
        self.received.append((name, data))

    @property
    def is_connected(self) -> bool:
        return bool(self.sio.connected)
