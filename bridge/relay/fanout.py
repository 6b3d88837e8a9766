"""From a message to the sockets of its members: the plain path.

One encoded packet is put into the queue of each member's Engine.IO socket, whose writer sends it.
A socket that doesn't keep up is sent nothing more of a job until it has drained; what it missed is
then read from the journal, so it holds a bounded tail and gets the newest state.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from engineio.packet import MESSAGE, Packet

from bridge.relay.members import Member
from bridge.relay.message import Message, event_head

#: A socket with so many packets waiting is slow; with so few it has drained.
SLOW_PACKETS: Final = 128
DRAINED_PACKETS: Final = 16


class Fanout:
    """Delivers messages to members.

    Args:
        server: the python-socketio server that holds the clients.

    Attributes:
        delivered: how many messages of jobs were handed to clients' connections.
        left_out: how many were not, because a client was slow; it gets the newest state later.
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        self._slow: set[Member] = set()
        self.delivered = 0
        self.left_out = 0

    def deliver(self, message: Message, members: Iterable[Member]) -> None:
        """Send a live message to members, each as its state allows."""
        job = message.job
        for member in members:
            aside = member.aside.get(job)
            if aside is not None:
                aside.add(message)
            elif job not in member.behind and not _knows(member, message):
                self.push(member, message)

    def push(self, member: Member, message: Message) -> bool:
        """Put a message into a member's socket; False if it is slow and was left behind."""
        if member.inbox is not None:
            member.inbox.put(message)
            self.delivered += 1
            return True
        socket = self._server.eio.sockets.get(member.eio_sid)
        packet = message.packet(member.namespace)
        if socket is None:
            # No connection of Engine.IO's: Flask-SocketIO's test client takes packets here.
            self._server._send_eio_packet(member.eio_sid, packet)
            self.delivered += 1
            return True
        if socket.queue.qsize() >= SLOW_PACKETS:
            self.leave_behind(member, message.job, message.since)
            self.left_out += 1
            return False
        if not socket.closed:
            # Not socket.send(): that may close it, and run handlers, in the listening thread.
            socket.queue.put(packet)
            self.delivered += 1
        return True

    def leave_behind(self, member: Member, job: str, since: int) -> None:
        """Send a member no more of a job until it has drained and caught up from that seq."""
        member.behind.setdefault(job, since)
        self._slow.add(member)

    def tell(self, member: Member, name: str, payload: Mapping[str, Any]) -> None:
        """Send a member an event of the bridge's own, however slow it is."""
        if member.inbox is not None:
            member.inbox.end(name, payload)
            return
        array = json.dumps([name, payload], separators=(",", ":"))
        packet = Packet(MESSAGE, event_head(member.namespace) + array)
        socket = self._server.eio.sockets.get(member.eio_sid)
        if socket is None:
            self._server._send_eio_packet(member.eio_sid, packet)
        elif not socket.closed:
            socket.queue.put(packet)

    def drained(self) -> list[Member]:
        """Return the members that were slow and are no longer."""
        ready = [member for member in list(self._slow) if member.gone or self._has_room(member)]
        self._slow.difference_update(ready)
        return [member for member in ready if not member.gone]

    def _has_room(self, member: Member) -> bool:
        socket = self._server.eio.sockets.get(member.eio_sid)
        return socket is None or socket.queue.qsize() <= DRAINED_PACKETS


def unread_packets(server: Any, eio_sid: str) -> int:
    """Return how many packets wait for a connection's client to read what came before."""
    socket = server.eio.sockets.get(eio_sid)
    return 0 if socket is None else socket.queue.qsize()


def unread_chars(server: Any, eio_sid: str) -> int:
    """Return how many characters wait for a connection's client to read what came before."""
    socket = server.eio.sockets.get(eio_sid)
    waiting = () if socket is None else tuple(socket.queue.queue)
    return sum(len(packet.data) for packet in waiting if packet is not None and packet.data)


def _knows(member: Member, message: Message) -> bool:
    """Whether a message was on its way while the journal, which has it, was read and sent."""
    told = member.told.get(message.job)
    if told is None:
        return False
    if message.rev > told:
        del member.told[message.job]
        return False
    return True
