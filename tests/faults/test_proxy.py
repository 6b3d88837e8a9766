"""The proxy does to a connection what it says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.conftest import wait_until
from tests.faults.proxy import Proxy


class Echo:
    """A server that says everything again."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65_536):
                    self.heard += data
                    connection.sendall(data)
            except OSError:
                return


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    made = Proxy(echo.port)
    yield made
    made.close()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with dial(proxy) as connection:
        said(connection, b"hello")
        yield connection


def dial(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=30)


def said(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)
    answer = b""
    while len(answer) < len(data):
        answer += connection.recv(65_536)
    assert answer == data


def is_silent(connection: socket.socket) -> bool:
    connection.settimeout(0.2)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(10)
    return False


def test_it_passes_everything_on_in_order(client: socket.socket) -> None:
    said(client, b"x" * 1_000_000)


def test_a_delay_counts_both_ways_and_keeps_the_order(proxy: Proxy, client: socket.socket) -> None:
    proxy.delay(up=0.1, down=0.1)
    before = time.monotonic()
    said(client, b"slow")
    assert time.monotonic() - before >= 0.2
    said(client, b"ab" * 100_000)


def test_dropped_connections_are_reset_and_new_ones_welcome(
    proxy: Proxy, client: socket.socket
) -> None:
    proxy.drop()
    with pytest.raises(ConnectionError):
        client.recv(1)
    with dial(proxy) as again:
        said(again, b"back")


def test_a_cut_refuses_until_it_is_healed(proxy: Proxy, client: socket.socket) -> None:
    proxy.cut()
    with pytest.raises(ConnectionError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        dial(proxy)
    proxy.heal()
    with dial(proxy) as again:
        said(again, b"back")


def test_half_closed_the_server_still_hears(
    echo: Echo, proxy: Proxy, client: socket.socket
) -> None:
    proxy.half_close()
    assert client.recv(1) == b""
    client.sendall(b"late")
    wait_until(lambda: echo.heard.endswith(b"late"))


def test_a_black_hole_swallows_and_gives_back(proxy: Proxy, client: socket.socket) -> None:
    proxy.black_hole()
    client.sendall(b"anybody?")
    with dial(proxy) as another:
        another.sendall(b"hello?")
        assert is_silent(client)
        assert is_silent(another)
        proxy.heal()
        assert client.recv(100) == b"anybody?"
        assert another.recv(100) == b"hello?"


def test_a_black_hole_may_have_one_way(echo: Echo, proxy: Proxy, client: socket.socket) -> None:
    proxy.black_hole("down")
    client.sendall(b"heard")
    wait_until(lambda: echo.heard.endswith(b"heard"))
    assert is_silent(client)


def test_the_reply_to_a_chosen_request_is_lost(
    echo: Echo, proxy: Proxy, client: socket.socket
) -> None:
    proxy.lose_reply(to=b"EVAL")
    said(client, b"PING")
    client.sendall(b"EVAL 1")
    with pytest.raises(ConnectionError):
        client.recv(1)
    assert echo.heard.endswith(b"EVAL 1")
    assert proxy.lost_replies == 1
    with dial(proxy) as again:
        said(again, b"EVAL 2")
