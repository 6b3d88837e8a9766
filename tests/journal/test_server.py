"""Every kind of URL reaches its server."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.journal import connect
from tests.conftest import RedisServer, redis_server_or_skip

pytestmark = pytest.mark.redis


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_by_tcp(shared_redis: RedisServer, scheme: str) -> None:
    client = connect(f"{scheme}://127.0.0.1:{shared_redis.port}/3")
    assert client.ping()
    assert client.connection_pool.connection_kwargs["db"] == 3
    client.close()


def test_by_unix_socket(tmp_path: Path) -> None:
    socket = tmp_path / "s"
    server = redis_server_or_skip(tmp_path, "--unixsocket", str(socket))
    client = connect(f"unix://{socket}?db=2")
    assert client.ping()
    client.close()
    server.stop()


def test_with_a_password(tmp_path: Path) -> None:
    server = redis_server_or_skip(tmp_path)
    server.client.config_set("requirepass", "p@ss:w/rd")
    client = connect(f"redis://:p%40ss%3Aw%2Frd@127.0.0.1:{server.port}/0")
    assert client.ping()
    client.close()
    server.stop()


def test_a_sentinel_url_names_sentinels_database_and_service() -> None:
    client = connect("redis+sentinel://:secret@127.0.0.1:26379,127.0.0.2:26380/1/mymaster")
    pool = client.connection_pool
    assert pool.service_name == "mymaster"
    assert pool.connection_kwargs["db"] == 1
    client.close()


def test_a_publisher_gives_up_soon_and_a_subscriber_waits_for_ever(
    shared_redis: RedisServer,
) -> None:
    publisher, subscriber = connect(shared_redis.url), connect(shared_redis.url, subscriber=True)
    assert publisher.connection_pool.connection_kwargs["socket_timeout"] == 2
    assert subscriber.connection_pool.connection_kwargs["socket_timeout"] is None


@pytest.mark.parametrize(
    ("query", "checked"),
    [("", True), ("?ssl_check_hostname=false", False), ("?ssl_cert_reqs=none", None)],
)
@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
def test_tls_checks_the_servers_name_unless_told_otherwise(
    scheme: str, query: str, checked: bool | None
) -> None:
    client = connect(f"{scheme}://localhost{query}")
    assert client.connection_pool.connection_kwargs.get("ssl_check_hostname") is checked
    client.close()
