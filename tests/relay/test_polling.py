"""What clients post that poll."""

from __future__ import annotations

import pytest
import requests

from tests.conftest import wait_until
from tests.nodes import Node


@pytest.fixture
def session(node: Node) -> str:
    url = f"{node.url}/socket.io/?EIO=4&transport=polling"
    sid = requests.get(url, timeout=30).text.partition('"sid":"')[2].partition('"')[0]
    return f"{url}&sid={sid}"


@pytest.mark.parametrize("packet", ["0", "2", "6", "9", "4\x1e9"])
def test_a_packet_of_an_unknown_kind_ends_the_session_at_once(session: str, packet: str) -> None:
    """Engine.IO's own would keep the request waiting for ever."""
    assert requests.post(session, data=packet, timeout=30).status_code == 400
    assert requests.post(session, data="40/bridge,", timeout=30).status_code == 400


@pytest.mark.parametrize("body", [b"\x80", b"\x1e" * 50, b"b!!!", b""])
def test_what_can_not_be_decoded_is_not_logged(node: Node, session: str, body: bytes) -> None:
    said = len(node.log)
    assert requests.post(session, data=body, timeout=30).status_code in (200, 400)
    wait_until(lambda: requests.get(f"{node.url}/readyz", timeout=30).ok)
    assert not [line for line in node.log[said:] if "Traceback" in line or "ERROR" in line]
