"""A message of a job on its way to sockets, encoded once for all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engineio.packet import MESSAGE, Packet

from bridge.frames import Frame
from bridge.records import Reading, check_event_name
from bridge.relay.outlet import websocket_frame

STATE: Final = "state"
EVENT: Final = "event"
PROGRESS_EVENT: Final = "progress"

#: A Socket.IO array of a name and an object, as far as it can be told from its ends.
_ARRAY: Final = re.compile(r'\[("(?:[^"\\]|\\.){1,1200}"), ?\{.*\}\]', re.DOTALL)

#: More messages than this are not kept while a job's past is read; it is read again instead.
MAX_ASIDE: Final = 1000


class Malformed(ValueError):
    """A message of the queue is not what it should be.

    Attributes:
        reason: in one word, to be counted by.
    """

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        super().__init__(text)


class Message:
    """One state or event.

    Args:
        job: the job's id.
        run: the run that it tells of; rev: its rev; seq: an event's seq, or a state's last one.
        kind: ``state`` or ``event``.
        array: the Socket.IO packet's JSON array, ``["name",{...}]``.
    """

    __slots__ = ("_array", "_frames", "_packets", "job", "kind", "rev", "run", "seq")

    def __init__(self, job: str, run: int, rev: int, seq: int, kind: str, array: str) -> None:
        self.job = job
        self.run = run
        self.rev = rev
        self.seq = seq
        self.kind = kind
        self._array = array
        self._packets: dict[str, Any] = {}
        self._frames: dict[str, bytes] = {}

    @classmethod
    def from_frame(cls, frame: Frame, namespace: str) -> Message:
        """Take the packet out of a frame, to be sent as it is, without parsing JSON.

        Raises:
            Malformed: it is not UTF-8, or not an event packet of that namespace.
        """
        try:
            text = frame.packet.decode()
        except UnicodeDecodeError as error:
            raise Malformed("utf8", str(error)) from None
        head = event_head(namespace)
        if not text.startswith(head + "["):
            raise Malformed("packet", f"not an event packet of {namespace}")
        array = text[len(head) :]
        _check_array(frame, array)
        return cls(frame.job, frame.run, frame.rev, frame.seq, frame.kind, array)

    @property
    def since(self) -> int:
        """The last seq that was told before this message."""
        return self.seq - 1 if self.kind == EVENT else self.seq

    def content(self) -> tuple[str, dict[str, Any]]:
        """Return the name and the payload.

        Raises:
            ValueError: it is no JSON, for nobody has parsed it before.
        """
        name, payload = json.loads(self._array)
        return name, payload

    def packet(self, namespace: str) -> Any:
        """Return the Engine.IO packet for clients of a namespace, the same for all of them."""
        packet = self._packets.get(namespace)
        if packet is None:
            packet = Packet(MESSAGE, event_head(namespace) + self._array)
            self._packets[namespace] = packet
        return packet

    def frame(self, namespace: str) -> bytes:
        """Return the same packet as a WebSocket frame, the same bytes for all of them."""
        frame = self._frames.get(namespace)
        if frame is None:
            text = f"{MESSAGE}{event_head(namespace)}{self._array}"
            frame = self._frames[namespace] = websocket_frame(text)
        return frame


def event_head(namespace: str) -> str:
    """Return what an event packet of a namespace begins with."""
    return "2" if namespace == "/" else f"2{namespace},"


def _check_array(frame: Frame, array: str) -> None:
    """Check what can be told without parsing: an object, and a name that fits the frame."""
    match = _ARRAY.fullmatch(array)
    if match is None:
        raise Malformed("packet", "the packet is not a name and an object")
    if not _fits(frame.kind, match[1]):
        raise Malformed("name", f"{match[1]} can't be the name of a packet of kind {frame.kind}")


def _fits(kind: str, quoted: str) -> bool:
    try:
        name = json.loads(quoted) if "\\" in quoted else quoted[1:-1]
        return name == PROGRESS_EVENT if kind == STATE else bool(check_event_name(name, ours=True))
    except ValueError:  # an escape that is none, or a reserved name
        return False


def cut_at(reading: Reading) -> int | None:
    """Return the last seq that a reading holds if more events lie behind it, else None."""
    last: int = reading.events[-1]["seq"] if reading.events else reading.last_seq
    return last if last < reading.last_seq else None


def messages_of(job: str, reading: Reading) -> Iterator[Message]:
    """Make messages of what the journal holds, in the order of their revs; no state if it is cut.

    A state is read with the newest `last_seq`. Before events that came after it, it is told with
    the one that it had, or clients would take them for missed.
    """
    state = None if cut_at(reading) is not None else reading.snapshot
    told: int | None = None
    for event in reading.events:
        if state is not None and event["rev"] > state["rev"]:
            last_seq = event["seq"] - 1 if told is None else told
            yield _state_message(job, {**state, "last_seq": last_seq})
            state = None
        told = event["seq"]
        yield _event_message(job, event)
    if state is not None:
        yield _state_message(job, state)


def outline_of(job: str, reading: Reading) -> list[Message]:
    """Make of a reading whose events are cut what lets a client ask for them at its own pace.

    That is the last event that it holds, at which a client sees a hole, and the newest state, which
    need not wait for all that lies between.
    """
    outline = [_event_message(job, reading.events[-1])]
    if reading.snapshot is not None:
        outline.append(_state_message(job, reading.snapshot))
    return sorted(outline, key=lambda message: message.rev)


def _state_message(job: str, state: Mapping[str, Any]) -> Message:
    return _message(job, state, state["last_seq"], STATE, PROGRESS_EVENT, state)


def _event_message(job: str, event: Mapping[str, Any]) -> Message:
    payload = {key: value for key, value in event.items() if key != "name"}
    return _message(job, event, event["seq"], EVENT, event["name"], payload)


def _message(
    job: str, numbers: Mapping[str, Any], seq: int, kind: str, name: str, payload: Mapping[str, Any]
) -> Message:
    array = json.dumps([name, payload], separators=(",", ":"))
    return Message(job, numbers["run"], numbers["rev"], seq, kind, array)


class Aside:
    """Messages that wait until a job's past has been read and sent.

    What came before the reading began is in the journal, so `begin` forgets it.
    """

    def __init__(self) -> None:
        self._messages: list[tuple[Message, str]] = []
        self.overflowed = False

    def begin(self) -> None:
        """The journal is read now."""
        self._messages.clear()
        self.overflowed = False

    def add(self, message: Message, room: str = "") -> None:
        """Keep a message, and the room that it came to; or remember that there were too many."""
        if len(self._messages) < MAX_ASIDE:
            self._messages.append((message, room))
        else:
            self.overflowed = True

    def after(self, rev: int) -> Iterator[tuple[Message, str]]:
        """Yield the messages above a rev in order, each as often as it came."""
        for message, room in self._messages:
            if message.rev > rev:
                yield message, room
