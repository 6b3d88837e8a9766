"""A client of server-sent events: the standard library and the few rules of the format."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.conftest import wait_until


@dataclass(frozen=True)
class Sent:
    """An event as an `EventSource` would tell it."""

    ident: str
    name: str
    data: Any


class Listener:
    """Reads a stream in a thread of its own until it ends or is closed."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        last: object = None,
        authority: Path | None = None,
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        self._connection = HTTPConnection(parts.hostname, parts.port, timeout=30)
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=authority)
            self._connection = HTTPSConnection(
                parts.hostname, parts.port, timeout=30, context=context
            )
        self._connection.request("GET", url.partition(parts.netloc)[2], headers=headers)
        self._socket = self._connection.sock
        self._response = self._connection.getresponse()
        assert self._response.status == 200, self._response.read()
        self.headers = self._response.headers
        self.sent: list[Sent] = []
        self.comments: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def states(self) -> list[Any]:
        return [each.data for each in list(self.sent) if each.name == "progress"]

    def currents(self) -> list[Any]:
        return [state["current"] for state in self.states()]

    def seqs(self) -> list[int]:
        """The ids of the custom events."""
        return [int(e.ident) for e in list(self.sent) if e.data.get("seq") is not None]

    def wait(self, current: object, seconds: float = 15) -> None:
        wait_until(lambda: current in self.currents(), seconds=seconds, what=f"state {current}")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes up the reader
        self._thread.join(5)
        self._response.close()
        self._connection.close()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        ident = ""
        with contextlib.suppress(OSError, HTTPException):  # it was closed, by us or by the node
            while raw := self._response.readline():
                line = raw.decode().rstrip("\n")
                name, _, value = line.partition(": ")
                if line.startswith(":"):
                    self.comments.append(line)
                elif line:
                    fields[name] = value
                else:
                    ident = fields.get("id", ident)
                    if "data" in fields:
                        data = json.loads(fields["data"])
                        self.sent.append(Sent(ident, fields.get("event", "message"), data))
                    fields = {}
