"""The load: many WebSocket clients in one process, and a publisher; far cheaper than any server.

Once a client has joined, what it receives is not parsed but searched: messages are counted by a
mark, and their age is read off the moment that they carry.
"""

from __future__ import annotations

import base64
import itertools
import os
import re
import select
import socket
import struct
import time
import zlib
from collections import deque
from collections.abc import Callable, Sequence

from benchmarks.contestants import MARK, STAMP_DIGITS, Contestant, stamp
from benchmarks.machine import Server

_PING = b"\x81\x012"
_PONG = b"3"
_MARK = len(MARK)
_READ_BYTES = 1 << 18


def masked(data: bytes) -> bytes:
    """A client's text frame; its mask is zero, so that nothing need be computed."""
    if len(data) > 65535:
        head = struct.pack("!BBQ", 0x81, 0xFF, len(data))
    elif len(data) > 125:
        head = struct.pack("!BBH", 0x81, 0xFE, len(data))
    else:
        head = struct.pack("!BB", 0x81, 0x80 | len(data))
    return head + b"\0\0\0\0" + data


class Client:
    """One WebSocket, from its handshake on."""

    __slots__ = ("compressed", "inflate", "join", "joined", "paused", "socket", "stage", "tail")

    def __init__(self, address: tuple[str, int], deflate: bool, join: bytes) -> None:
        self.join = join
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect(address)
        self.socket.setblocking(False)
        self.tail = b""
        self.stage = 0
        self.joined = False
        self.paused = False
        self.compressed = False
        self.inflate = zlib.decompressobj(-15) if deflate else None
        extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if deflate else ""
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.send(
            (
                "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {key}\r\n{extension}\r\n"
            ).encode()
        )

    def frames(self, data: bytes) -> list[bytes]:
        """Take whole frames out of what came; keep the rest."""
        data = self.tail + data
        found = []
        at = 0
        while len(data) - at >= 2:
            length, start = data[at + 1] & 127, at + 2
            if length == 126:
                length, start = struct.unpack_from("!H", data.ljust(at + 4), at + 2)[0], at + 4
            elif length == 127:
                length, start = struct.unpack_from("!Q", data.ljust(at + 10), at + 2)[0], at + 10
            if start + length > len(data):
                break
            body = data[start : start + length]
            if data[at] & 0x40:
                self.compressed = True
                assert self.inflate is not None
                body = self.inflate.decompress(body + b"\0\0\xff\xff")
            found.append(body)
            at = start + length
        self.tail = data[at:]
        return found


class Crowd:
    """Clients of one server, each in the same rooms.

    Args:
        contestant: how to speak to it; server: where.
        rooms: what each client joins.
        deflate: whether they offer permessage-deflate, as browsers do.
        apart: each client joins only one of the rooms, in turn.

    Attributes:
        acks: what was answered to each join.
        count: messages received; ages: nanoseconds from their moment to here, one a read.
    """

    def __init__(
        self,
        contestant: Contestant,
        server: Server,
        rooms: Sequence[str],
        *,
        deflate: bool = False,
        apart: bool = False,
    ) -> None:
        self.contestant = contestant
        self.server = server
        self.address = ("127.0.0.1", server.port)
        self.rooms = rooms
        self.deflate = deflate
        self.clients: dict[int, Client] = {}
        self.count = 0
        self.joined = 0
        self.lost = 0
        self.ages: list[int] = []
        self.aging = False
        self._epoll = select.epoll()
        each = [[room] for room in rooms] if apart else [rooms]
        self._joins = itertools.cycle([masked(contestant.join(some).encode()) for some in each])
        self.acks: list[bytes] = []
        self._enter = masked(f"40{contestant.namespace}".encode())
        self._done = f"43{contestant.namespace}0[".encode()

    def connect(self, number: int, at_once: int = 50, seconds: float = 60) -> float:
        """Add clients, so many at a time; returns how long it took until all had joined."""
        begun = time.monotonic()
        goal, opened = self.joined + number, 0
        while self.joined < goal:
            while opened < number and opened + goal - number - self.joined < at_once:
                client = Client(self.address, self.deflate, next(self._joins))
                self.clients[client.socket.fileno()] = client
                self._epoll.register(client.socket, select.EPOLLIN)
                opened += 1
            self.pump(0.2)
            if time.monotonic() > begun + seconds:
                raise SystemExit(
                    f"{self.contestant.name}: {self.joined} of {goal} clients joined in {seconds} s"
                )
        return time.monotonic() - begun

    def pump(self, seconds: float) -> bool:
        """Wait at most that long for something to come, and take it; False: nothing came."""
        ready = self._epoll.poll(max(0.0, seconds))
        for number, _ in ready:
            client = self.clients[number]
            try:
                data = client.socket.recv(_READ_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                self._forget(client)
            elif client.joined and not client.compressed:
                self._take(client, data)
            else:
                self._converse(client, data)
        return bool(ready)

    def pause(self, clients: Sequence[Client]) -> None:
        """Let clients read nothing more; they still answer pings, by the clock."""
        for client in clients:
            client.paused = True
            self._epoll.unregister(client.socket)

    def answer_pings(self, clients: Sequence[Client]) -> None:
        for client in clients:
            try:
                client.socket.send(masked(_PONG))
            except OSError:
                self.lost += 1

    def close(self) -> None:
        for client in self.clients.values():
            client.socket.close()
        self._epoll.close()

    def _forget(self, client: Client) -> None:
        self._epoll.unregister(client.socket)
        del self.clients[client.socket.fileno()]
        client.socket.close()
        self.lost += 1

    def _take(self, client: Client, data: bytes) -> None:
        if client.tail:
            data = client.tail + data
        found = data.count(MARK)
        self.count += found
        if found and self.aging:
            self._age(data)
        # What may be the beginning of a mark is looked at again, but no whole mark twice.
        at = data.rfind(MARK)
        client.tail = data[max(at + 1, len(data) - _MARK + 1) :] if at >= 0 else data[1 - _MARK :]
        if _PING in data:
            client.socket.send(masked(_PONG))

    def _age(self, data: bytes) -> None:
        now = time.monotonic_ns()
        at = data.find(MARK)
        while at >= 0:
            digits = data[at + _MARK : at + _MARK + STAMP_DIGITS]
            if len(digits) == STAMP_DIGITS:
                self.ages.append(now - int(digits))
            at = data.find(MARK, at + _MARK)

    def _converse(self, client: Client, data: bytes) -> None:
        if client.stage == 0:
            client.tail += data
            head, found, rest = client.tail.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head[:40]:
                raise SystemExit(f"{self.contestant.name} refuses: {head[:80]!r}")
            client.tail, client.stage, data = b"", 1, rest
        for body in client.frames(data):
            if body[:1] == b"0":
                client.socket.send(self._enter)
            elif body[:2] == b"40":
                client.socket.send(client.join)
            elif body == b"2":
                client.socket.send(masked(_PONG))
            elif body.startswith(self._done):
                if b'"unavailable"' in body[:120]:  # on a busy machine: as a client does
                    client.socket.send(client.join)
                elif b'"ok":true' not in body.replace(b" ", b"")[:80]:
                    raise SystemExit(f"{self.contestant.name} refuses: {body[:120]!r}")
                else:
                    client.joined = True
                    self.joined += 1
                    self.acks.append(body)
            elif MARK in body:
                self.count += 1
                if self.aging:
                    self._age(body)


class Publisher:
    """Publishes on Redis by a plain socket, without waiting for the replies."""

    def __init__(self, url: str) -> None:
        found = re.fullmatch(r"redis://([^:]+):(\d+)/0", url)
        assert found is not None
        self._socket = socket.create_connection((found[1], int(found[2])))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def publish(self, verb: bytes, messages: Sequence[tuple[bytes, bytes]]) -> None:
        out = []
        for channel, message in messages:
            out.append(
                b"*3\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
                % (len(verb), verb, len(channel), channel, len(message), message)
            )
        self._socket.sendall(b"".join(out))
        try:
            while self._socket.recv(65536, socket.MSG_DONTWAIT):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        self._socket.close()


class Stream:
    """What is published: to one room after the other, at a rate."""

    def __init__(self, contestant: Contestant, rooms: Sequence[str], data: str) -> None:
        self._contestant = contestant
        self._rooms = deque(rooms)
        self._data = data
        self.published = 0

    def next(self) -> tuple[bytes, bytes]:
        self._rooms.rotate(-1)
        self.published += 1
        return self._contestant.message(self._rooms[0], self._data.replace("%s", stamp(), 1))


def run_at(
    crowd: Crowd,
    publisher: Publisher,
    stream: Stream,
    rate: float,
    seconds: float,
    each: Callable[[], None] | None = None,
) -> None:
    """Publish at a rate for so long while the crowd receives; then take what is still coming."""
    verb = crowd.contestant.verb
    begun = time.monotonic()
    sent = 0
    while (now := time.monotonic()) < begun + seconds:
        due = int((now - begun) * rate) + 1 - sent
        if due > 0:
            publisher.publish(verb, [stream.next() for _ in range(due)])
            sent += due
        if each is not None:
            each()
        crowd.pump(min(begun + sent / rate, begun + seconds) - time.monotonic())
    settle(crowd)


def settle(crowd: Crowd, quiet: float = 0.15, seconds: float = 10) -> None:
    """Take what is still coming, until nothing comes."""
    end = time.monotonic() + seconds
    while crowd.pump(quiet) and time.monotonic() < end:
        pass
