"""The floor: a bare Python loop that writes ready-made frames to sockets.

It takes messages from Redis like the others, puts a WebSocket head before each once, and writes the
same bytes to every socket with one `send` each. It knows one room and does nothing else.
Arguments: port, Redis URL, channel.
"""

import base64
import hashlib
import re
import select
import socket
import struct
import sys

import hiredis
from redis import Redis

port, url, channel = sys.argv[1:]
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(data: bytes) -> bytes:
    if len(data) > 125:
        return struct.pack("!BBH", 0x81, 126, len(data)) + data
    return struct.pack("!BB", 0x81, len(data)) + data


def greet(sock: socket.socket) -> bool:
    """Do what a client waits for until it is in its room; its requests are not looked at."""
    head = b""
    while b"\r\n\r\n" not in head:
        data = sock.recv(65536)
        if not data:
            return False
        head += data
    found = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
    assert found is not None
    accept = base64.b64encode(hashlib.sha1(found[1] + GUID).digest())
    sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    sock.sendall(frame(b'0{"sid":"x"}'))
    for answer in (b'40{"sid":"x"}', b'430[{"ok":true}]'):
        sock.recv(65536)
        sock.sendall(frame(answer))
    return True


listener = socket.create_server(("127.0.0.1", int(port)), backlog=2048)
connection = Redis.from_url(url).connection_pool.get_connection()
connection.send_command("SUBSCRIBE", channel)
queue = connection._sock
reader = hiredis.Reader()
sockets: list[socket.socket] = []
while True:
    ready, _, _ = select.select([listener, queue], [], [])
    if listener in ready:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if greet(client):
            client.setblocking(False)
            sockets.append(client)
    if queue in ready:
        reader.feed(queue.recv(262144))
        while (reply := reader.gets()) is not False:
            if reply[0] == b"message":
                ready_made = frame(b"4" + reply[2])
                for each in sockets:
                    each.send(ready_made)
