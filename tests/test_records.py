from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import PayloadError, PayloadTooLarge, ReservedName
from bridge.frames import Frame
from bridge.records import (
    JOURNAL_KEYS,
    RESERVED_NAMES,
    StateRecord,
    blank_record,
    check_event_name,
    encode,
    is_too_deep,
)


def test_a_blank_record_and_the_journal_fill_every_key_of_the_contract() -> None:
    assert {*blank_record("j", "t"), *JOURNAL_KEYS} == set(StateRecord.__annotations__)


@pytest.mark.parametrize(
    "name", [*sorted(RESERVED_NAMES), "bridge:x", "log", "", "a" * 101, None, 3]
)
def test_reserved_names_are_refused(name: object) -> None:
    with pytest.raises(ReservedName):
        check_event_name(name)


def test_log_is_ours() -> None:
    assert check_event_name("log", ours=True) == "log"


@pytest.mark.parametrize("value", [{1, 2}, object(), math.nan, math.inf, b"x", {"a": object()}])
def test_what_is_not_json_is_a_payload_error_that_says_why(value: object) -> None:
    with pytest.raises(PayloadError, match="the data can't be sent as JSON"):
        encode(value, what="the data", limit=1000)


def test_a_value_inside_itself_is_a_payload_error() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(PayloadError):
        encode(loop, what="it", limit=1000)


def test_size_is_counted_in_bytes_and_the_error_says_both() -> None:
    assert encode("é", what="it", limit=4) == '"é"'
    with pytest.raises(PayloadTooLarge) as caught:
        encode("éé", what="it", limit=4)
    assert (caught.value.size, caught.value.limit) == (6, 4)


def test_half_a_surrogate_pair_as_in_file_names_still_travels() -> None:
    assert json.loads(encode("a\udcff", what="it", limit=100)) == "a\udcff"


@pytest.mark.parametrize(
    ("text", "too_deep"),
    [
        ("[" * 64 + "]" * 64, False),
        ("[" * 65 + "]" * 65, True),
        ('{"a":' * 65 + "1" + "}" * 65, True),
        ("[" + "[]," * 500 + "[]]", False),
        ('["' + "[" * 500 + '\\"[[[",1]', False),
    ],
)
def test_depth_is_counted_outside_of_strings(text: str, too_deep: bool) -> None:
    assert is_too_deep(text) == too_deep


def test_a_frame_splits_without_parsing_json() -> None:
    packet = '2/bridge,["row",{"é":1}]'.encode()
    frame = Frame.parse(b"v1 j:1 2 1795364078685000 7 event %d\n" % len(packet) + packet)
    assert frame == Frame("j:1", 2, 1795364078685000, 7, "event", packet)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n", b"v1", b"{}", b"v1 j 1 1 1 state 5\n1234", b"v1 j 1 1 1 state 3\n1234",
        b"v2 j 1 1 1 state 4\n1234", b"v1 j -1 1 1 state 4\n1234", b"v1 j 1 1 1 other 4\n1234",
        b"v1 j{} 1 1 1 state 4\n1234", b"v1 " + b"j" * 201 + b" 1 1 1 state 4\n1234",
        b"v1 j 1 99999999999999999 1 state 4\n1234", b"v1  1 1 1 state 4\n1234", b"\xff" * 400,
    ],
)  # fmt: skip
def test_a_malformed_frame_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="frame"):
        Frame.parse(data)


@given(st.binary(max_size=400))
def test_no_bytes_from_the_queue_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        Frame.parse(data)
