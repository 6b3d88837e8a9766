"""A small TCP proxy that does what networks do: delay, cut, half-close, and swallow in silence."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

#: `up` is from the client to the server, `down` the way back.
Way = Literal["up", "down"]
_CHUNK = 65_536
_CHUNKS_WAITING = 64


class Proxy:
    """Stands before a server on 127.0.0.1 and passes everything on, until it is told otherwise.

    All methods may be called from any thread, and hold when they return.

    Args:
        target: the server's port.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        # Bound and never listening: the port stays ours while connections are refused.
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]
        self._links: set[_Link] = set()
        self._delays: dict[Way, float] = {"up": 0.0, "down": 0.0}
        self._open: dict[Way, asyncio.Event] = {}
        self._losing: bytes | None = None
        self._server: asyncio.Server | None = None
        self.accepted = 0
        #: When nothing, or no answer, came through: [from, until] in monotonic seconds.
        self.silences: list[list[float]] = []
        self.lost_replies = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._do(self._begin)

    def delay(self, up: float = 0.0, down: float = 0.0) -> None:
        """Let everything take so many seconds longer, each way."""
        self._delays |= {"up": up, "down": down}

    def drop(self) -> None:
        """Break the connections that there are, by a reset; new ones are welcome."""
        self._do(self._drop)

    def cut(self) -> None:
        """Break the connections that there are and refuse new ones, until `heal`."""
        self._do(self._cut)

    def half_close(self) -> None:
        """Say goodbye to each client on behalf of the server, and still listen to it."""
        self._do(self._half_close)

    def black_hole(self, *ways: Way) -> None:
        """Accept everything and pass nothing on, until `heal`; nothing is refused or closed.

        Args:
            ways: default: both.
        """
        self._do(self._shut, *(ways or ("up", "down")))

    def lose_reply(self, to: bytes = b"") -> None:
        """Pass on the next request that holds these bytes, and reset instead of its reply."""
        self._losing = to

    def heal(self) -> None:
        """Let everything through again, without delay."""
        self._losing = None
        self.delay()
        self._do(self._begin)

    def close(self) -> None:
        """Break all connections and end."""
        self._do(self._cut)
        self._do(self._finish)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        self._reserved.close()

    def _do(self, action: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        async def run() -> None:
            await action(*arguments)

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    async def _begin(self) -> None:
        if self._is_silent:
            self.silences[-1][1] = time.monotonic()
        for way in self._delays:
            self._open.setdefault(way, asyncio.Event()).set()
        if self._server is None:
            listener = _bound(self.port)
            listener.listen(512)
            self._server = await asyncio.start_server(self._accept, sock=listener)

    @property
    def _is_silent(self) -> bool:
        return bool(self.silences) and self.silences[-1][1] == float("inf")

    def _fall_silent(self) -> None:
        if not self._is_silent:
            self.silences.append([time.monotonic(), float("inf")])

    async def _shut(self, *ways: Way) -> None:
        self._fall_silent()
        for way in ways:
            self._open[way].clear()

    async def _drop(self) -> None:
        doomed = set(self._links)
        for link in doomed:
            link.reset()
        while doomed & self._links:
            await asyncio.sleep(0.001)

    async def _cut(self) -> None:
        self._fall_silent()
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._drop()

    async def _finish(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _half_close(self) -> None:
        for link in list(self._links):
            link.said_goodbye = True
            with contextlib.suppress(OSError):
                link.client.write_eof()

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            from_server, server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(client)
            return
        self.accepted += 1
        link = _Link(client, server)
        self._links.add(link)
        try:
            await link.run(self._pump(link, "up", reader), self._pump(link, "down", from_server))
        finally:
            link.reset()
            self._links.discard(link)

    async def _pump(self, link: _Link, way: Way, reader: asyncio.StreamReader) -> None:
        """Carry one way of a link, in its order and at its pace."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_WAITING)

        async def read() -> None:
            data = b"?"
            while data:
                await self._open[way].wait()
                data = await reader.read(_CHUNK)
                await waiting.put((self._loop.time() + self._delays[way], data))

        async def write() -> None:
            writer = link.server if way == "up" else link.client
            while True:
                due, data = await waiting.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                await self._open[way].wait()
                said_goodbye = way == "down" and link.said_goodbye
                if not data:
                    if not said_goodbye:
                        writer.write_eof()
                    return
                if said_goodbye:
                    continue
                if self._is_lost(link, way, data):
                    link.reset()
                    return
                writer.write(data)
                await writer.drain()

        await asyncio.gather(read(), write())

    def _is_lost(self, link: _Link, way: Way, data: bytes) -> bool:
        if way == "up":
            if self._losing is not None and self._losing in data:
                self._losing, link.doomed = None, True
            return False
        self.lost_replies += link.doomed
        return link.doomed


class _Link:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.doomed = False
        self.said_goodbye = False
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, *pumps: Any) -> None:
        """Carry both ways until both have ended, or one breaks."""
        self._tasks = [asyncio.ensure_future(pump) for pump in pumps]
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(*self._tasks)

    def reset(self) -> None:
        """Break it, both ways."""
        for task in self._tasks:
            task.cancel()
        _reset(self.client)
        _reset(self.server)


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection so that the other side sees a reset."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()
