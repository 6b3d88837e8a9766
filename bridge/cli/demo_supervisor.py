"""Run several programs as one: start them, show one log, and stop all when one ends.

The log's look comes from the library honcho. Its Manager is not used: it doesn't tell when a part
is ready, waits for a dead part's grandchildren, and leaves everything behind when it is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TextIO

from honcho.colour import get_colours
from honcho.printer import Message, Printer

from bridge.cli import demo_guard
from bridge.errors import BridgeError

READY_SECONDS = 60.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.1
LAST_LINES_SECONDS = 0.5
LINES_KEPT = 20
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Part:
    """A program that is one part of the whole.

    Attributes:
        name: what its log lines begin with.
        command: the program and its arguments.
        environ: its whole environment.
        ready: asked again and again until it says that the part does its work.
        folder: where it runs.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    ready: Callable[[], bool]
    folder: Path | None = None


class PartFailed(BridgeError):
    """A part ended, or didn't become ready, when it should run.

    Attributes:
        name: which part.
        last_lines: the end of what it printed.
    """

    def __init__(self, name: str, what: str, last_lines: Sequence[str]) -> None:
        self.name = name
        self.last_lines = tuple(last_lines)
        lines = "".join(f"\n    {line}" for line in last_lines)
        super().__init__(f"{name} {what}" + (f"; its last lines:{lines}" if lines else ""))


class Stopped(BridgeError):
    """Somebody asked the whole to stop, by Ctrl-C or a signal."""


@dataclass
class _Running:
    part: Part
    process: subprocess.Popen[bytes]
    reader: threading.Thread
    last_lines: deque[str]


class Supervisor:
    """Starts parts and stops them; to be used as a context manager in the main thread.

    Whatever happens in its block, no process of a part outlives it.

    Args:
        output: where the log goes.
        folder: a folder to remove should this process be killed.
    """

    def __init__(self, output: TextIO, folder: Path) -> None:
        self._printer = Printer(output)
        self._colours = get_colours()
        self._running: dict[str, _Running] = {}
        self._events: SimpleQueue[_Running | None] = SimpleQueue()
        self._printing = threading.Lock()
        self._asked = 0
        self._guard = _start_guard(folder)

    def start(self, part: Part) -> None:
        """Start a part; its output appears in the log from now on.

        Raises:
            PartFailed: its program can't be started.
        """
        try:
            process = subprocess.Popen(
                part.command,
                env=dict(part.environ),
                cwd=part.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise PartFailed(part.name, f"can't be started ({error})", ()) from error
        self._tell_guard(f"group {process.pid}")
        last_lines: deque[str] = deque(maxlen=LINES_KEPT)
        show = (part.name, process, last_lines, next(self._colours))
        reader = threading.Thread(target=self._show, args=show, daemon=True)
        running = _Running(part, process, reader, last_lines)
        self._running[part.name] = running
        self._printer.width = max(self._printer.width, len(part.name))
        reader.start()
        threading.Thread(target=self._await_end, args=(running,), daemon=True).start()

    def wait_ready(self, *names: str, seconds: float = READY_SECONDS) -> None:
        """Wait until parts do their work.

        Args:
            names: which parts.
            seconds: how long to wait at most.

        Raises:
            PartFailed: a part ended, or is not ready in time.
            Stopped: somebody asked to stop.
        """
        deadline = time.monotonic() + seconds
        waiting = list(names)
        while waiting:
            self._look(POLL_SECONDS)
            waiting = [name for name in waiting if not self._running[name].part.ready()]
            if waiting and time.monotonic() > deadline:
                running = self._running[waiting[0]]
                what = f"is not ready after {seconds:g} seconds"
                raise PartFailed(waiting[0], what, running.last_lines)

    def watch(self) -> None:
        """Wait for the end.

        Raises:
            PartFailed: a part ended.
            Stopped: somebody asked to stop.
        """
        while True:
            self._look(None)

    def stop(self) -> None:
        """Stop all parts, the last started first, and what they started.

        Each is asked to end and killed after five seconds, or at once at a second signal.
        """
        asked = self._asked
        parts = list(reversed(self._running.values()))
        deadline = time.monotonic() + STOP_SECONDS
        for running in parts:
            if running.process.poll() is None:
                running.process.terminate()
            # One after the other: a worker that ends wants to tell Redis so.
            while running.process.poll() is None and time.monotonic() < deadline:
                if self._asked > asked:
                    break
                time.sleep(POLL_SECONDS / 4)
            self._sweep(running)
        self._running.clear()

    def _sweep(self, running: _Running) -> None:
        """Kill what is left of a part and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait()
        running.reader.join(LAST_LINES_SECONDS)
        self._tell_guard(f"gone {running.process.pid}")

    def _look(self, timeout: float | None) -> None:
        """Wait for the next thing to happen and raise if it is the end."""
        running = None
        with contextlib.suppress(Empty):
            running = self._events.get(timeout=timeout)
        if self._asked:
            raise Stopped("stopped")
        if running is not None:
            raise PartFailed(running.part.name, _ended(running.process), running.last_lines)

    def _show(
        self, name: str, process: subprocess.Popen[bytes], last_lines: deque[str], colour: str
    ) -> None:
        """Copy a part's output into the log, line by line."""
        assert process.stdout is not None
        with process.stdout as lines:
            for raw in lines:
                line = raw.decode("utf-8", "replace").rstrip()
                last_lines.append(line)
                message = Message("line", line, datetime.now(), name, colour)
                # Several parts may speak at once; a log that nobody reads any more is no error.
                with self._printing, contextlib.suppress(BrokenPipeError):
                    self._printer.write(message)

    def _await_end(self, running: _Running) -> None:
        running.process.wait()
        # Its last lines may still be on their way; its children may keep the pipe open for long.
        running.reader.join(LAST_LINES_SECONDS)
        self._events.put(running)

    def _tell_guard(self, line: str) -> None:
        assert self._guard.stdin is not None
        # Without its guard the demo goes on: only a kill -9 of it would leave something behind.
        with contextlib.suppress(BrokenPipeError):
            self._guard.stdin.write(f"{line}\n".encode())
            self._guard.stdin.flush()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._asked += 1
        self._events.put(None)

    def __enter__(self) -> Supervisor:
        # nohup asks to ignore hang-ups; it must stay so.
        numbers = [
            n
            for n in STOP_SIGNALS
            if signal.getsignal(n) is not signal.SIG_IGN or n != signal.SIGHUP
        ]
        self._handlers = {number: signal.signal(number, self._on_signal) for number in numbers}
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self.stop()
        finally:
            assert self._guard.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                self._guard.stdin.close()
            self._guard.wait()
            for number, handler in self._handlers.items():
                signal.signal(number, handler)


def _start_guard(folder: Path) -> subprocess.Popen[bytes]:
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", demo_guard.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert guard.stdin is not None
    guard.stdin.write(b"folder " + os.fsencode(folder) + b"\n")
    guard.stdin.flush()
    return guard


def _ended(process: subprocess.Popen[bytes]) -> str:
    code = process.wait()
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
