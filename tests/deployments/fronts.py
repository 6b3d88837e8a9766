"""Real nginx before real nodes, with the very files of docker/nginx; only addresses are ours."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.conftest import free_port, missing, wait_until
from tests.nodes import Node

SHIPPED = Path(__file__).parents[2] / "docker" / "nginx"


class Front:
    """An nginx."""

    def __init__(self, variant: str, nodes: Sequence[Node], folder: Path) -> None:
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        if program is None:
            missing("nginx", "apt-get install nginx-light")
        self.variant = variant
        self.port = free_port()
        self.folder = folder
        self._write(nodes)
        self._log = folder / "access.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(program), "-p", str(folder), "-c", str(folder / f"{variant}.conf"),
                 "-g", f"daemon off; error_log {folder}/error.log;"],
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        wait_until(self._answers, what=f"nginx: {folder}")

    @property
    def url(self) -> str:
        return f"{'https' if self.variant == 'tls' else 'http'}://127.0.0.1:{self.port}"

    @property
    def path(self) -> str:
        """What stands before every path of a node's."""
        return "/progress" if self.variant == "prefix" else ""

    @property
    def log(self) -> str:
        return self._log.read_text()

    def reached(self, path: str) -> list[str]:
        """The nodes that requests for a path came to, in order; of each the last that was tried."""
        lines = [line for line in self.log.splitlines() if path in line]
        return [re.split(r"[ ,]+", line.strip())[-1] for line in lines]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def _write(self, nodes: Sequence[Node]) -> None:
        for file in SHIPPED.glob("*.conf"):
            shutil.copy(file, self.folder)
        servers = (f"server {node.url.removeprefix('http://')};" for node in nodes)
        (self.folder / "nodes.conf").write_text("\n".join(servers))
        (self.folder / "listen.conf").write_text(f"listen 127.0.0.1:{self.port};")
        if self.variant == "tls":
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "site.key", "-out",
                 "site.crt", "-days", "2", "-subj", "/CN=127.0.0.1",
                 "-addext", "subjectAltName=IP:127.0.0.1"],
                check=True, capture_output=True, cwd=self.folder,
            )  # fmt: skip
            shipped = (SHIPPED / "listen-tls.conf").read_text()
            ours = shipped.replace("8443", f"127.0.0.1:{self.port}")
            ours = ours.replace("/etc/nginx/tls/", f"{self.folder}/")
            (self.folder / "listen-tls.conf").write_text(ours)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log + (self.folder / "error.log").read_text()
        try:
            authority = str(self.folder / "site.crt") if self.variant == "tls" else True
            url = f"{self.url}{self.path}/healthz"
            return requests.get(url, timeout=5, verify=authority).status_code == 200
        except requests.RequestException:
            return False


@contextmanager
def front(variant: str, nodes: Sequence[Node], factory: pytest.TempPathFactory) -> Iterator[Front]:
    """An nginx for the length of a block."""
    made = Front(variant, nodes, factory.mktemp("nginx"))
    try:
        yield made
    finally:
        made.stop()
