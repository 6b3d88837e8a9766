"""From a message to the sockets of its members.

A message is framed once, and its frame goes to the outlet of each member's WebSocket. Where there
is no outlet (the client polls, or Engine.IO's own way is used), one encoded packet is put into the
queue of each member's Engine.IO socket, whose writer sends it. A socket that doesn't keep up is
sent nothing more of a job until it has drained; what it missed is then read from the journal, so it
holds a bounded tail and gets the newest state.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from engineio.packet import MESSAGE, Packet

from bridge.relay.members import Member
from bridge.relay.message import Message, event_head
from bridge.relay.outlet import SLOW_BYTES, Outlet, Outlets

#: A queue with so many packets waiting is slow; with so few it has drained.
SLOW_PACKETS: Final = 128
DRAINED_PACKETS: Final = 16


class Fanout:
    """Delivers messages to members.

    Args:
        server: the python-socketio server that holds the clients.
        namespace: the one in which most clients are.
        outlets: the direct way; None where there is none.

    Attributes:
        delivered: how many messages of jobs were handed to clients' connections.
        left_out: how many were not, because a client was slow; it gets the newest state later.
    """

    def __init__(self, server: Any, namespace: str, outlets: Outlets | None) -> None:
        self._server = server
        self._namespace = namespace
        self._outlets = outlets
        self._slow: set[Member] = set()
        self.delivered = 0
        self.left_out = 0

    def deliver(self, message: Message, members: Iterable[Member]) -> None:
        """Send a live message to members, each as its state allows."""
        if self._outlets is None:
            for member in members:
                if not _waits(member, message):
                    self.push(member, message)
        else:
            ready = self._ready(message, members)
            written = self._outlets.write(ready, message.frame(self._namespace))
            self.delivered += written  # only now: others were sent to on the way

    def _ready(self, message: Message, members: Iterable[Member]) -> Iterator[Outlet]:
        """Tell the outlets to write to; what can't go there goes another way or waits."""
        namespace = self._namespace
        for member in members:
            if (member.aside or member.behind or member.told) and _waits(member, message):
                continue
            outlet = member.outlet
            if outlet is None or outlet.size > SLOW_BYTES or member.namespace != namespace:
                self.push(member, message)
            else:
                yield outlet

    def push(self, member: Member, message: Message) -> bool:
        """Send a member a message; False if it is slow and was left behind."""
        queue = self._queue(member)
        if member.inbox is not None:
            member.inbox.put(message)
        elif queue is None:
            # No connection of Engine.IO's: Flask-SocketIO's test client takes packets here.
            packet = message.packet(member.namespace)
            self._server._send_eio_packet(member.eio_sid, packet)
        elif _is_slow(queue):
            self.leave_behind(member, message.job, message.since)
            self.left_out += 1
            return False
        elif isinstance(queue, Outlet):
            member.outlet = queue
            queue.group.write((queue,), message.frame(member.namespace))
        else:
            # Not socket.send(): that may close it, and run handlers, in the listening thread.
            queue.put(message.packet(member.namespace))
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
        queue = self._queue(member)
        if queue is None:
            self._server._send_eio_packet(member.eio_sid, packet)
        else:
            queue.put(packet)

    def drained(self) -> list[Member]:
        """Return the members that were slow and are no longer."""
        ready = [member for member in list(self._slow) if member.gone or self._has_room(member)]
        self._slow.difference_update(ready)
        return [member for member in ready if not member.gone]

    def _has_room(self, member: Member) -> bool:
        queue = self._queue(member)
        if isinstance(queue, Outlet):
            return not queue.stuck and not queue.size
        return queue is None or queue.qsize() <= DRAINED_PACKETS

    def _queue(self, member: Member) -> Any:
        """What a member's packets are put into; None where Engine.IO has no such connection."""
        socket = self._server.eio.sockets.get(member.eio_sid)
        return None if socket is None else socket.queue


def _is_slow(queue: Any) -> bool:
    return queue.is_slow() if isinstance(queue, Outlet) else queue.qsize() >= SLOW_PACKETS


def unread_packets(server: Any, eio_sid: str) -> int:
    """Return how many packets wait for a connection's client to read what came before."""
    socket = server.eio.sockets.get(eio_sid)
    return 0 if socket is None else socket.queue.qsize()


def unread_chars(server: Any, eio_sid: str) -> int:
    """Return how many characters wait for a connection's client to read what came before."""
    socket = server.eio.sockets.get(eio_sid)
    if socket is None:
        return 0
    if isinstance(socket.queue, Outlet):
        return int(socket.queue.size)
    waiting = tuple(socket.queue.queue)
    return sum(len(packet.data) for packet in waiting if packet is not None and packet.data)


def _waits(member: Member, message: Message) -> bool:
    """Whether a member must not be sent a message now; where it must later, that is noted."""
    aside = member.aside.get(message.job)
    if aside is not None:
        aside.add(message)
        return True
    return message.job in member.behind or _knows(member, message)


def _knows(member: Member, message: Message) -> bool:
    """Whether a message was on its way while the journal, which has it, was read and sent."""
    told = member.told.get(message.job)
    if told is None:
        return False
    if message.rev > told:
        del member.told[message.job]
        return False
    return True
