"""Contestants: what serves a room's clients, each as its users run it, and how to speak to it."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgpack
from redis import Redis

from benchmarks.machine import Server, free_port, python
from bridge.rooms import job_room, room_channel
from bridge.settings import Settings
from bridge.tokens import Tokens

PEERS = Path(__file__).parent / "peers"
SECRET = "a secret for benchmarks only"
#: What each message carries, once: found by counting in what a client receives.
MARK = b'"sent":"'
STAMP_DIGITS = 19


def payload(length: int) -> str:
    """JSON of about that many bytes, with %s where its moment goes."""
    bare = '{"sent":"%s","state":"PROGRESS","current":4711,"total":10000,"fill":"%s"}'
    return bare.replace('"%s"}', '"' + "x" * max(0, length - len(bare) - STAMP_DIGITS + 4) + '"}')


def stamp() -> str:
    return f"{time.monotonic_ns():0{STAMP_DIGITS}d}"


class Contestant:
    """A server and its dialect.

    Attributes:
        name: what the tables call it.
        namespace: of Socket.IO, as it stands in packets: empty, or with a comma.
    """

    name = ""
    namespace = ""
    verb = b"PUBLISH"

    def __init__(self, url: str) -> None:
        self.url = url
        self.channel = f"bench-{uuid.uuid4().hex[:8]}"

    def start(self, ping_timeout: int = 20) -> Server:
        raise NotImplementedError

    def join(self, rooms: Sequence[str]) -> str:
        """The packet that puts a client into rooms, acknowledged with number 0."""
        return f"42{self.namespace}0" + json.dumps(["join", list(rooms)])

    def message(self, room: str, data: str) -> tuple[bytes, bytes]:
        """The channel and the message by which `data`, JSON, comes to a room."""
        raise NotImplementedError


class Stock(Contestant):
    """Flask-SocketIO with a Redis message queue."""

    def __init__(self, url: str, mode: str) -> None:
        super().__init__(url)
        self.name = f"stock Flask-SocketIO, {mode}"
        self.mode = mode

    def start(self, ping_timeout: int = 20) -> Server:
        port = free_port()
        return Server(
            python(
                str(PEERS / "stock_node.py"), self.mode, str(port), self.url, self.channel,
                str(ping_timeout),
            ),
            port,
        )  # fmt: skip

    def message(self, room: str, data: str) -> tuple[bytes, bytes]:
        head = f'{{"method":"emit","event":"progress","namespace":"/","room":"{room}",'
        tail = ',"binary":false,"skip_sid":null,"callback":null,"host_id":"bench"}'
        return self.channel.encode(), f'{head}"data":{data}{tail}'.encode()


class Node(Contestant):
    """Node's socket.io."""

    def __init__(self, url: str, kind: str = "redis") -> None:
        super().__init__(url)
        self.name = {"redis": "Node, Redis adapter", "sharded": "Node, sharded adapter"}[kind]
        self.kind = kind
        if kind == "sharded":
            self.verb = b"SPUBLISH"

    def start(self, ping_timeout: int = 20) -> Server:
        folder, port = PEERS / "node", free_port()
        if not (folder / "node_modules").exists():
            subprocess.run(
                ["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True
            )
        return Server(
            ["node", str(folder / "server.js"), str(port), self.url, self.channel, self.kind,
             str(ping_timeout * 1000)],
            port,
        )  # fmt: skip

    def message(self, room: str, data: str) -> tuple[bytes, bytes]:
        packet = {"type": 2, "data": ["progress", json.loads(data)], "nsp": "/"}
        options = {"rooms": [room], "except": [], "flags": {}}
        channel = f"{self.channel}#/#{room}#".encode()
        if self.kind == "redis":
            return channel, msgpack.packb(["bench", packet, options])
        told = {"uid": "b", "nsp": "/", "type": 3, "data": {"packet": packet, "opts": options}}
        return channel, json.dumps(told, separators=(",", ":")).encode()


class Ours(Contestant):
    """A bare node of celery-bridge."""

    namespace = "/bridge,"

    def __init__(self, url: str, mode: str, fanout: str = "") -> None:
        super().__init__(url)
        self.name = f"celery-bridge, {mode}" + (f", {fanout} fan-out" if fanout else "")
        self.mode = mode
        self.fanout = fanout
        self._tokens = Tokens((SECRET,), seconds=86400)
        self._rev = 1_000_000

    def settings(self) -> Settings:
        return Settings.load(
            {"message_queue": self.url, "channel": self.channel, "secret_key": SECRET}, environ={}
        )

    def start(self, ping_timeout: int = 20) -> Server:
        port = free_port()
        environ = {
            "BRIDGE_MESSAGE_QUEUE": self.url, "BRIDGE_CHANNEL": self.channel,
            "BRIDGE_SECRET_KEY": SECRET, "BRIDGE_PORT": str(port), "BRIDGE_ASYNC_MODE": self.mode,
            **({"BRIDGE_FANOUT": self.fanout} if self.fanout else {}),
        }  # fmt: skip
        command = python(str(PEERS / "our_node.py"), str(ping_timeout))
        return Server(command, port, **environ)

    def join(self, rooms: Sequence[str]) -> str:
        request = {"jobs": list(rooms), "token": self._tokens.issue(jobs=list(rooms))}
        return f"42{self.namespace}0" + json.dumps(["watch", request])

    def message(self, room: str, data: str) -> tuple[bytes, bytes]:
        self._rev += 1
        packet = f'2{self.namespace}["progress",{data}]'
        head = f"v1 {room} 1 {self._rev} 0 state {len(packet)}\n"
        return room_channel(self.channel, job_room(room)).encode(), (head + packet).encode()


class Floor(Contestant):
    """The bare loop."""

    name = "floor"

    def start(self, ping_timeout: int = 20) -> Server:
        port = free_port()
        return Server(python(str(PEERS / "floor.py"), str(port), self.url, self.channel), port)

    def message(self, room: str, data: str) -> tuple[bytes, bytes]:
        return self.channel.encode(), f'2["progress",{data}]'.encode()


def reachable(url: str) -> bool:
    return bool(Redis.from_url(url).ping())
