import os
import socket
from collections.abc import Iterator

import pytest

from bridge.cli.demo_ports import PortRefused, free_port, web_port

HOST = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_free_port_can_be_listened_on() -> None:
    with socket.socket() as listener:
        listener.bind((HOST, free_port(HOST)))


def test_the_port_that_was_asked_for_is_taken() -> None:
    port = free_port(HOST)
    assert web_port(HOST, port, preferred=1) == port


def test_the_preferred_port_gives_way_when_it_is_in_use(taken: int) -> None:
    free = free_port(HOST)
    assert web_port(HOST, None, preferred=free) == free
    assert web_port(HOST, None, preferred=taken) not in (0, taken)
    assert web_port(HOST, 0, preferred=free) not in (0, free)


def test_a_port_in_use_is_named_and_so_is_the_way_out(taken: int) -> None:
    with pytest.raises(PortRefused, match=rf"port {taken} of {HOST} is in use.*BRIDGE_PORT"):
        web_port(HOST, taken, preferred=5000)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such name.invalid"])
def test_a_foreign_address_is_named(host: str) -> None:
    with pytest.raises(PortRefused, match=f"BRIDGE_HOST='{host}' is not an address"):
        free_port(host)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen on any port")
def test_a_privileged_port_is_refused_with_the_fix() -> None:
    with pytest.raises(PortRefused, match="1024 or higher"):
        web_port(HOST, 80, preferred=5000)
