"""Frames: how a job's messages travel on the message queue, split without parsing JSON."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_FRAME_HEAD: Final = re.compile(
    rb"v1 ([A-Za-z0-9_.:@=+-]{1,200}) (\d{1,16}) (\d{1,16}) (\d{1,16}) (state|event) (\d{1,9})"
)
_MAX_HEAD_BYTES: Final = 320


class Frame(NamedTuple):
    """One message of a job on the message queue, its packet still encoded.

    Attributes:
        job run rev: as everywhere; seq: an event's seq, or a state's last one.
        kind: ``state`` or ``event``.
        packet: a Socket.IO packet (``2/bridge,["name",{...}]``) as UTF-8.
    """

    job: str
    run: int
    rev: int
    seq: int
    kind: str
    packet: bytes

    @classmethod
    def parse(cls, data: bytes) -> Frame:
        """Split and check a message without parsing JSON.

        Raises:
            ValueError: it is not a frame; nothing from the queue is trusted.
        """
        end = data.find(b"\n", 0, _MAX_HEAD_BYTES)
        head = _FRAME_HEAD.fullmatch(data, 0, end) if end > 0 else None
        if head is None:
            raise ValueError("not a v1 frame")
        packet = data[end + 1 :]
        if len(packet) != int(head[6]):
            raise ValueError(f"frame of {len(packet)} bytes says {int(head[6])}")
        return cls(
            job=head[1].decode(), run=int(head[2]), rev=int(head[3]), seq=int(head[4]),
            kind=head[5].decode(), packet=packet,
        )  # fmt: skip
