"""Engine.IO and Socket.IO frames that no client library would send, by WebSocket and by polling."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest
import requests
import websocket
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import RedisServer
from tests.security.attacked import UNLIMITED, Attacked, attacked, open_polling, raw_websocket

fuzzing = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))

#: Each was thought of by somebody who wants to hurt.
NASTY = [
    "", "0", "1", "2", "3", "3probe", "4", "5", "6", "9", "x", "4/", "4/bridge", "40", "40/",
    "40/bridge,", "40/bridge,{", "40/nobody,", "41", "41/bridge,", "42", "42/bridge,",
    "42/bridge,[]", "42/bridge,{}", "42/bridge,null", '42/bridge,["watch"',
    '42/bridge,["watch",{"job":1}]', '42/bridge,[["watch"]]', '42/bridge,[null,{}]',
    '42/bridge,[{"a":1}]', "42/bridge,1", "42/bridge,99999999999999999999[]",
    '42/bridge,1["watch",' + "[" * 3000, '42/bridge,1["watch",' + "[" * 3000 + "]" * 3001,
    '42/bridge,1["watch",' + '{"a":' * 3000 + "1" + "}" * 3001, "43/bridge,1[]", "43/bridge,",
    "44/bridge,{}", '45', '451-/bridge,["watch",{"_placeholder":true,"num":0}]',
    '459999999-/bridge,["watch",{"_placeholder":true,"num":0}]', "45" + "9" * 5000 + "-",
    '451-/bridge,["watch",{"_placeholder":true,"num":-1}]', "461-/bridge,1[]", "47", "48", "49",
    '42/bridge?token=a,["watch"]', "42/" + "n" * 9000 + ',["a"]', "4" * 1000, "b", "bAAAA",
    "b4!!", '42/bridge,["watch",NaN]', '42/bridge,["watch",1e999]', '42/bridge,["watch",-]', "\0",
    "4\0", '42/bridge,["watch","\\ud800"]', "42\u202e", '42["watch",{"job":"a"}]',
    '42/bridge,1["connect",{}]', '42/bridge,1["disconnect","client"]', '42/bridge,1["*"]',
]  # fmt: skip
packets = (
    st.sampled_from(NASTY)
    | st.text(max_size=30)
    | st.builds(
        "".join,
        st.lists(
            st.sampled_from([*'0123456789,/-[]{}":', "/bridge", '"watch"', "null"]), max_size=25
        ),
    )
)
frames = packets | st.binary(max_size=40)


@pytest.fixture(scope="module")
def victim(shared_redis: RedisServer) -> Iterator[Attacked]:
    unlimited = {"BRIDGE_MESSAGES_RATE": UNLIMITED, "BRIDGE_MAX_CLIENTS_ADDRESS": UNLIMITED}
    with attacked(shared_redis, **unlimited) as made:
        yield made
        assert made.errors() == []


def send_all(victim: Attacked, batch: list[str | bytes]) -> None:
    """Send until the node hangs up; then begin anew with the rest."""
    rest = list(batch)
    while rest:
        with (
            raw_websocket(victim) as link,
            contextlib.suppress(OSError, websocket.WebSocketException),
        ):
            while rest:
                frame = rest.pop(0)
                if isinstance(frame, bytes):
                    link.send_binary(frame)
                else:
                    link.send(frame.encode("utf-8", "replace").decode())
            link.settimeout(0.5)
            link.send('42/bridge,7["unwatch",{"job":"a"}]')
            while "7[" not in str(link.recv()):
                pass


def test_each_nasty_frame_by_itself(victim: Attacked) -> None:
    for frame in NASTY:
        send_all(victim, [frame])
    victim.assert_serves()


@fuzzing
@given(batch=st.lists(frames, max_size=20))
def test_any_frames_by_websocket(victim: Attacked, batch: list[str | bytes]) -> None:
    send_all(victim, batch)
    victim.assert_serves()


@fuzzing
@given(
    bodies=st.lists(
        st.lists(packets, max_size=20).map("\x1e".join) | st.binary(max_size=60), max_size=5
    )
)
def test_any_body_by_polling(victim: Attacked, bodies: list[str | bytes]) -> None:
    url = open_polling(victim)
    for body in bodies:
        data = body.encode("utf-8", "replace") if isinstance(body, str) else body
        answer = requests.post(url, data=data, timeout=30)
        assert answer.status_code in (200, 400), answer.status_code
    victim.assert_serves()


def masked(first: int, payload: bytes, *, length: int | None = None) -> bytes:
    """A WebSocket frame with a first byte and, if it should lie, a length of our choice."""
    size = len(payload) if length is None else length
    head = bytes([first, 0x80 | 127]) + struct.pack(">Q", size)
    return head + b"\0\0\0\0" + payload


BROKEN_WEBSOCKET = {
    "unmasked": bytes([0x81, 3]) + b"4ab",
    "reserved bits": masked(0xF1, b"4"),
    "reserved opcode": masked(0x8B, b"4"),
    "a control frame that is too long": masked(0x89, b"p" * 4000),
    "a control frame in parts": masked(0x09, b"p"),
    "a continuation of nothing": masked(0x80, b"4"),
    "a new message within a message": masked(0x01, b"4") + masked(0x01, b"4"),
    "text that is not UTF-8": masked(0x81, b"4\xff\xfe\xc3"),
    "a length of 2^63": masked(0x82, b"", length=2**63),
    "a length of 1 TB": masked(0x82, b"", length=2**40),
    "a message over the limit": masked(0x81, b"4" * 600_000),
    "over the limit in parts": masked(1, b"4" * 200_000) + masked(0, b"4" * 200_000) * 3,
    "a close frame without a code": masked(0x88, b"\x03"),
    "a close frame with a made-up code": masked(0x88, struct.pack(">H", 12345)),
    "nothing but noise": bytes(range(256)) * 20,
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_WEBSOCKET)
def test_a_broken_websocket_costs_only_itself(victim: Attacked, name: str) -> None:
    with raw_websocket(victim) as link, contextlib.suppress(OSError):
        link.sock.sendall(BROKEN_WEBSOCKET[name])
    victim.assert_serves()


POLLING = "/socket.io/?EIO=4&transport=polling"


def http(line: str, *headers: str, body: str = "") -> bytes:
    """A request, right or wrong, as it is sent."""
    return "\r\n".join([f"{line} HTTP/1.1", "Host: a", *headers, "", body]).encode("latin-1")


BROKEN_HTTP = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01" * 50,
    "a length that lies": http(f"POST {POLLING}", "Content-Length: -5"),
    "a length of letters": http("POST /bridge/jobs/a/cancel", "Content-Length: ten"),
    "two lengths": http("POST /", "Content-Length: 4", "Content-Length: 90", body="GET /"),
    "an endless chunk": http("POST /", "Transfer-Encoding: chunked", body="ffffffffff\r\n"),
    "a line of 100 kB": http("GET /" + "a" * 100_000),
    "a header of 100 kB": http("GET /", "X: " + "a" * 100_000),
    "10,000 headers": http("GET /", *["X: a"] * 10_000),
    "NUL in the path": http("GET /bridge/jobs/\0"),
    "an upgrade to nothing": http(
        "GET /socket.io/?EIO=4&transport=websocket", "Upgrade: websocket"
    ),
    "a transport that is none": http("GET /socket.io/?EIO=4&transport=../../etc"),
    "a sid of another shape": http(f"GET {POLLING}&sid=%00%0d%0a"),
    "an old protocol": http("GET /socket.io/?EIO=2&transport=polling"),
}


@pytest.mark.parametrize("name", BROKEN_HTTP)
def test_broken_http_costs_only_itself(victim: Attacked, name: str) -> None:
    with socket.create_connection(victim.address, timeout=30) as link, contextlib.suppress(OSError):
        link.sendall(BROKEN_HTTP[name])
        link.shutdown(socket.SHUT_WR)
        link.settimeout(0.3)
        while link.recv(65536):
            pass
    victim.assert_serves()


def test_a_poll_of_another_clients_session_is_not_answered(victim: Attacked) -> None:
    """Who guesses wrong gets nothing; ids are 120 random bits, so that nobody guesses right."""
    sid = open_polling(victim).rpartition("sid=")[2]
    assert len(sid) >= 20
    near = sid[:-1] + ("A" if sid[-1] != "A" else "B")
    url = f"{victim.url}/socket.io/?EIO=4&transport=polling&sid={near}"
    assert requests.get(url, timeout=30).status_code == 400
    assert requests.post(url, data="40", timeout=30).status_code == 400
