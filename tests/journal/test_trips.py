"""Round trips on a connection that is kept, and that the server may close at any time."""

from __future__ import annotations

import pytest
from redis.exceptions import RedisError

from bridge.journal import connect
from bridge.journal.trips import Trips
from tests.conftest import RedisServer
from tests.nodes import passes

pytestmark = pytest.mark.redis


def test_a_kept_connection_that_the_server_closed_is_made_anew(own_redis: RedisServer) -> None:
    client = connect(own_redis.url)
    trips = Trips(client)
    assert trips.make([("ECHO", "a"), ("NOSUCHTHING",)])[0] == b"a"

    killer = own_redis.client
    killer.client_kill_filter(_type="normal", skipme=True)
    killer.close()
    assert trips.make([("ECHO", "b")]) == [b"b"]

    own_redis.stop()
    for _ in range(3):
        with pytest.raises((RedisError, OSError)):
            trips.make([("ECHO", "c")])
    own_redis.start()
    assert trips.make([("ECHO", "d")]) == [b"d"]
    client.close()


def test_a_forked_process_has_a_connection_of_its_own(redis_url: str) -> None:
    # A process of its own: this one may have imported eventlet, which warns at each fork.
    passes(f"""
import os
from bridge.journal import connect
from bridge.journal.trips import Trips

trips = Trips(connect({redis_url!r}))
(ours,) = trips.make([("CLIENT", "ID")])
reading, writing = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(writing, str(trips.make([("CLIENT", "ID")])[0]).encode())
    os._exit(0)
os.waitpid(pid, 0)
assert int(os.read(reading, 100)) != ours
assert trips.make([("CLIENT", "ID")]) == [ours]
""")
