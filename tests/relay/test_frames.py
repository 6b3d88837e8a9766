"""Frames on their way in."""

from __future__ import annotations

from typing import Any

from eventlet.websocket import RFC6455WebSocket
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.relay.frames import unmask


@settings(deadline=None)
@given(
    data=st.binary(max_size=70),
    mask=st.tuples(*[st.integers(0, 255)] * 4),
    offset=st.integers(0, 9),
    shorter=st.none() | st.integers(0, 70),
)
def test_unmask_is_what_eventlet_does(
    data: bytes, mask: tuple[int, ...], offset: int, shorter: int | None
) -> None:
    length = None if shorter is None else min(shorter, len(data))
    theirs: Any = RFC6455WebSocket._apply_mask
    assert unmask(data, mask, length, offset) == theirs(data, mask, length, offset)
