"""A real Redis with the users of docs/security.md, line by line as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from redis import Redis

from tests.conftest import RedisServer

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
ADMIN = "for-the-test"


def documented_users() -> list[str]:
    """The lines of the ACL file that the document gives."""
    blocks = re.findall(r"```\w*\n(user .*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


class GuardedRedis(RedisServer):
    """A redis-server that knows the documented users, and one for the test itself."""

    def __init__(self, folder: Path) -> None:
        lines = [*documented_users(), f"user {ADMIN} on >{ADMIN} ~* &* +@all"]
        self.users = {line.split()[1]: self._password(line) for line in lines}
        users = folder / "users.acl"
        users.write_text("\n".join(lines) + "\n")
        super().__init__(folder, "--aclfile", str(users))

    def url_of(self, user: str, database: int = 0) -> str:
        return f"redis://{user}:{self.users[user]}@127.0.0.1:{self.port}/{database}"

    def client_of(self, user: str) -> Redis:
        return Redis.from_url(self.url_of(user), socket_timeout=5)

    @property
    def client(self) -> Redis:
        return self.client_of(ADMIN)

    def refusals(self) -> list[str]:
        """Who was refused what, since `forget_refusals`.

        Some versions of Redis log that a connection may not tell its library's name: no matter.
        """
        with self.client as client:
            log: list[dict[str, Any]] = client.acl_log()
        said = [f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in log]
        return [entry for entry in said if " command client" not in entry]

    def forget_refusals(self) -> None:
        with self.client as client:
            client.acl_log_reset()

    @staticmethod
    def _password(line: str) -> str:
        found = re.search(r" >(\S+)", line)
        return found[1] if found else ""
