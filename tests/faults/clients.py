"""Recording clients: they follow a job over real connections and write down all that comes.

A `RuleRecorder` keeps the history and its `Screen`; its links are connections of different kinds,
each of which comes back by itself. A link only carries: what to ask, and when, the recorder
decides. A `WidgetRecorder` has our widget's own `watch` decide all that, and show what it shows.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import socketio
import websocket

from tests.conftest import missing, wait_until
from tests.faults.evidence import Entry, History
from tests.faults.screen import Screen
from tests.nodes import NAMESPACE, ROOT

WIDGET = ROOT / "bridge" / "widget"
#: A watch without an answer is sent again after so long.
ANSWER_SECONDS = 3.0
_AGAIN_SECONDS = 0.05

#: Takes what a link has to tell: (what, name, data, when it was received).
Heard = Callable[[str, str, Any, float], None]


class Link(Protocol):
    """A connection to a node, which comes back by itself."""

    def ask(self, request: dict[str, Any], tag: Any) -> None:
        """Send a watch; its answer is told as ``ack`` with the tag as its name."""

    def close(self) -> None:
        """End."""


class Recorder:
    """Watches one job, and writes everything down.

    Args:
        name: for reports.
        job: the job's id.
        since: the seq after which events are wanted.
    """

    links: Sequence[Link]

    def __init__(self, name: str, job: str, since: int) -> None:
        self.history = History(name, since=since)
        self.job = job

    @property
    def state(self) -> dict[str, Any]:
        """What is on the screen."""
        return self.history.state or {}

    @property
    def current(self) -> float:
        """The figure on the screen, -1 before any."""
        current = self.state.get("current")
        return -1 if current is None else current

    def heard(self, what: str) -> list[Entry]:
        """Everything of one kind that happened so far."""
        return [entry for entry in list(self.history.entries) if entry.what == what]

    def wait_answered(self, seconds: float = 20) -> None:
        """Wait until the node has answered to a watch."""
        wait_until(
            lambda: self.heard("ack"), seconds=seconds, what=f"{self.history.client}: an answer"
        )  # fmt: skip

    def wait_for(self, *states: str, seconds: float = 20) -> None:
        """Wait until one of these states is on the screen."""
        wait_until(
            lambda: self.state.get("state") in states, seconds=seconds,
            what=f"{self.history.client}: {states}, it shows {self.state.get('state')}",
        )  # fmt: skip

    def wait_current(self, current: float, seconds: float = 20) -> None:
        """Wait until the figure on the screen is this or more."""
        wait_until(
            lambda: self.current >= current, seconds=seconds,
            what=f"{self.history.client}: {current}, it shows {self.current}",
        )  # fmt: skip

    def close(self) -> None:
        """Leave."""
        for link in self.links:
            link.close()


class RuleRecorder(Recorder):
    """Follows the client's rule, over one or more links.

    Args:
        name: for reports.
        links: makes of links: each gets what to call with what it hears.
        job: the job's id; token: for it.
        since: the seq after which events are wanted.
    """

    def __init__(
        self,
        name: str,
        links: Sequence[Callable[[Heard], Link]],
        job: str,
        token: str | None,
        since: int = 0,
    ) -> None:
        super().__init__(name, job, since)
        self._token = token
        self._screen = Screen(self.history)
        self._heard: queue.Queue[tuple[int, str, Any, Any, float] | None] = queue.Queue()
        self._connected: dict[int, bool] = {}
        self._open: dict[int, tuple[float, int]] = {}
        self._due: dict[int, float] = {}
        self._tag = 0
        self._closed = False
        self.links = [make(self._hearing(index)) for index, make in enumerate(links)]
        self.history.ordered = not any(isinstance(link, PythonLink) for link in self.links)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave."""
        self._closed = True
        super().close()
        self._heard.put(None)
        self._thread.join(5)

    def _hearing(self, index: int) -> Heard:
        def heard(what: str, name: str, data: Any, at: float) -> None:
            self._heard.put((index, what, name, data, at))

        return heard

    def _work(self) -> None:
        while not self._closed:
            with contextlib.suppress(queue.Empty):
                heard = self._heard.get(timeout=0.1)
                if heard is None:
                    return
                self._take(*heard)
            now = time.monotonic()
            for link, due in list(self._due.items()):
                if now >= due and self._connected.get(link):
                    self._ask(link)

    def _take(self, link: int, what: str, name: Any, data: Any, at: float) -> None:
        match what:
            case "connect":
                self._note(Entry(at, what, link=link))
                self._connected[link] = True
                self._ask(link)
            case "disconnect":
                self._note(Entry(at, what, link=link))
                self._connected[link] = False
                self._due.pop(link, None)
            case "live" if isinstance(data, dict):
                self._note(Entry(at, what, name, data, link))
                if data.get("job") == self.job and self._screen.live(name, data):
                    self._due.setdefault(link, 0.0)
            case "ack":
                self._answer(link, int(name), data, at)

    def _ask(self, link: int) -> None:
        since = self._screen.asking()
        self._tag += 1
        now = time.monotonic()
        self._open[self._tag] = (now, since)
        self._due[link] = now + ANSWER_SECONDS
        self._note(Entry(now, "ask", link=link, since=since))
        request = {"job": self.job, "since": since}
        if self._token is not None:
            request["token"] = self._token
        self.links[link].ask(request, self._tag)

    def _answer(self, link: int, tag: int, data: Any, at: float) -> None:
        asked, since = self._open.pop(tag)
        self._note(Entry(at, "ack", data=data, link=link, since=since, asked=asked))
        if self._open and tag < max(self._open):
            # An older question's; that of the newer one is on its way.
            return
        self._due.pop(link, None)
        if not data.get("ok"):
            if data.get("error") == "unavailable":
                self._due[link] = time.monotonic() + 10 * _AGAIN_SECONDS
        elif self._screen.answered(data, since):
            self._due[link] = time.monotonic() + _AGAIN_SECONDS

    def _note(self, entry: Entry) -> None:
        self.history.entries.append(entry)


class PythonLink:
    """python-socketio's client.

    Args:
        url: the node.
        heard: gets what comes.
        transport: ``websocket`` or ``polling``.
    """

    def __init__(self, url: str, heard: Heard, transport: str = "websocket") -> None:
        self._heard = heard
        self._sio = socketio.Client(
            handle_sigint=False, reconnection_delay=0.1, reconnection_delay_max=1
        )
        self._sio.on("connect", lambda: self._tell("connect"), namespace=NAMESPACE)
        self._sio.on("disconnect", lambda *_: self._tell("disconnect"), namespace=NAMESPACE)
        self._sio.on("*", lambda name, data=None: self._tell("live", name, data),
                     namespace=NAMESPACE)  # fmt: skip
        self._closed = False
        self._options = {"namespaces": [NAMESPACE], "transports": [transport], "retry": True}
        self._thread = threading.Thread(target=self._connect, args=(url,), daemon=True)
        self._thread.start()

    def ask(self, request: dict[str, Any], tag: Any) -> None:
        with contextlib.suppress(socketio.exceptions.SocketIOError):
            self._sio.emit(
                "watch", request, namespace=NAMESPACE,
                callback=lambda answer: self._tell("ack", tag, answer),
            )  # fmt: skip

    def break_off(self) -> None:
        """Lose the connection; the client comes back by itself."""
        with contextlib.suppress(Exception):
            self._sio.eio.ws.sock.shutdown(2)

    def close(self) -> None:
        self._closed = True
        self._sio.shutdown()
        self._thread.join(5)

    def _connect(self, url: str) -> None:
        while not self._closed and not self._sio.connected:
            with contextlib.suppress(socketio.exceptions.SocketIOError, ValueError, OSError):
                self._sio.connect(url, **self._options)
                return
            time.sleep(0.1)

    def _tell(self, what: str, name: Any = "", data: Any = None) -> None:
        self._heard(what, name, data, time.monotonic())


class RawLink:
    """Engine.IO 4 and Socket.IO 5 by hand, over a bare WebSocket."""

    def __init__(self, url: str, heard: Heard) -> None:
        self._url = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
        self._heard = heard
        self._socket: websocket.WebSocket | None = None
        self._lock = threading.Lock()
        self._reading = threading.Event()
        self._reading.set()
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def ask(self, request: dict[str, Any], tag: Any) -> None:
        self._send(f"42{NAMESPACE},{tag}" + json.dumps(["watch", request]))

    def stop_reading(self) -> None:
        """Leave what comes in the socket, until `read_on`."""
        self._reading.clear()

    def read_on(self) -> None:
        self._reading.set()

    def close(self) -> None:
        self._closed = True
        self._reading.set()
        if self._socket is not None:
            self._socket.abort()
        self._thread.join(5)

    def _send(self, text: str) -> None:
        with self._lock, contextlib.suppress(OSError, websocket.WebSocketException):
            if self._socket is not None:
                self._socket.send(text)

    def _run(self) -> None:
        while not self._closed:
            joined = False
            try:
                self._socket = websocket.create_connection(
                    self._url, timeout=60, skip_utf8_validation=True
                )
                while not self._closed:
                    self._reading.wait()
                    text = self._socket.recv()
                    if not text:
                        break
                    joined |= text.startswith(f"40{NAMESPACE}")
                    self._take(text, time.monotonic())
            except (OSError, websocket.WebSocketException):
                pass
            if self._socket is not None:
                self._socket.close(timeout=0)
            if joined:
                self._heard("disconnect", "", None, time.monotonic())
            time.sleep(0.02)

    def _take(self, text: str, at: float) -> None:
        kind, rest = text[:2], text[2:]
        if text[0] == "0":
            self._send(f"40{NAMESPACE},")
        elif text[0] == "2":
            self._send("3")
        elif kind == "40":
            self._heard("connect", "", None, at)
        elif kind == "42":
            name, *data = json.loads(rest.partition(",")[2])
            self._heard("live", name, data[0] if data else None, at)
        elif kind == "43":
            tag, bracket, array = rest.partition(",")[2].partition("[")
            self._heard("ack", tag, json.loads(bracket + array)[0], at)


class NodeLink:
    """Node's own socket.io-client, in a process of its own.

    Args:
        url: the node.
        heard: gets what comes.
        program: what the process runs.
    """

    def __init__(self, url: str, heard: Heard, program: str = "recorder.cjs") -> None:
        node = shutil.which("node")
        if node is None or not (WIDGET / "node_modules" / "socket.io-client").exists():
            missing("Node with socket.io-client", "install Node 20 and run npm ci in bridge/widget")
        assert node is not None
        self._heard = heard
        self.process = subprocess.Popen(
            [node, str(Path(__file__).with_name(program)), url, str(WIDGET)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def ask(self, request: dict[str, Any], tag: Any) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it may have been closed meanwhile
            self.process.stdin.write(json.dumps({"tag": tag, "watch": request}) + "\n")
            self.process.stdin.flush()

    def sleep(self) -> None:
        """As a laptop does whose lid is closed: it doesn't even know that time goes by."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.wake()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._thread.join(5)
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            what, name, data, at = json.loads(line)
            self._heard(what, name, data, at)


class WidgetRecorder(Recorder):
    """Our widget's own `watch`, in a process of its own: it asks, comes back and shows by itself.

    Args:
        name: for reports.
        url: the node.
        job: the job's id; token: for it.
        since: the seq after which events are wanted.
    """

    def __init__(self, name: str, url: str, job: str, token: str | None, since: int = 0) -> None:
        super().__init__(name, job, since)
        self._answered = False
        link = NodeLink(url, self._take, "widget.mjs")
        self.links = [link]
        link.ask({"job": job, "token": token, "since": since}, 0)

    def wait_answered(self, seconds: float = 20) -> None:
        wait_until(
            lambda: self._answered, seconds=seconds, what=f"{self.history.client}: an answer"
        )

    def _take(self, what: str, name: str, data: Any, at: float) -> None:
        match what:
            case "shown":
                self.history.shown.append((at, data))
            case "told":
                self.history.told.append((at, data))
            case "gap":
                self.history.gaps.append((at, data["from"], data["to"]))
            case "answered":
                self._answered = True
            case _:
                self.history.entries.append(Entry(at, what, name, data))


def python_client(url: str) -> Callable[[Heard], Link]:
    return lambda heard: PythonLink(url, heard)


def polling_client(url: str) -> Callable[[Heard], Link]:
    return lambda heard: PythonLink(url, heard, "polling")


def raw_client(url: str) -> Callable[[Heard], Link]:
    return lambda heard: RawLink(url, heard)


def node_client(url: str) -> Callable[[Heard], Link]:
    return lambda heard: NodeLink(url, heard)


KINDS: dict[str, Callable[[str], Callable[[Heard], Link]]] = {
    "python": python_client,
    "polling": polling_client,
    "raw": raw_client,
    "node": node_client,
}
