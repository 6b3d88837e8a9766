"""The whole end-to-end suite with a worker of each pool; one node for all of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.settings import Settings
from tests.conftest import RedisServer
from tests.deployments.conftest import QUICK_START, Backstage
from tests.deployments.suite import Place, run_whole
from tests.nodes import SECRET, Node, running
from tests.security.conftest import celery_worker

pytestmark = [pytest.mark.e2e, pytest.mark.redis]

#: By their names in docs/deployment.md; who has time runs the others, too: `make deployments`.
POOLS = ("prefork -c 8", "solo", "gevent -c 8", "eventlet -c 8")
MORE_POOLS = (
    "prefork -c 1", "threads -c 1", "threads -c 8", "gevent -c 1", "eventlet -c 1",
)  # fmt: skip


@pytest.fixture(scope="module")
def common() -> dict[str, str]:
    return {"BRIDGE_CHANNEL": f"pools-{uuid.uuid4().hex}", "BRIDGE_SECRET_KEY": SECRET}


@pytest.fixture(scope="module")
def node(shared_redis: RedisServer, common: dict[str, str]) -> Iterator[Node]:
    settings = Settings.load(environ={**common, "BRIDGE_MESSAGE_QUEUE": shared_redis.url})
    with running(settings) as made:
        yield made


def rows() -> list[Any]:
    more = [pytest.param(pool, marks=pytest.mark.deployments) for pool in MORE_POOLS]
    return [*POOLS, *more]


@pytest.mark.parametrize("pool", rows())
def test_the_whole_suite_with_a_pool(
    pool: str, node: Node, common: dict[str, str], shared_redis: RedisServer, tmp_path: Path
) -> None:
    # A database of Redis each, for Celery: what one pool left over is nothing to the next.
    number = 3 + [*POOLS, *MORE_POOLS].index(pool)
    broker = f"redis://127.0.0.1:{shared_redis.port}/{number}"
    environ = {
        **common, "BRIDGE_MESSAGE_QUEUE": shared_redis.url, "CELERY_BROKER_URL": broker,
        "CELERY_RESULT_BACKEND": broker, "DEMO_UPLOADS": str(tmp_path / "uploads"),
    }  # fmt: skip
    options = ("-P", *pool.split(), *QUICK_START)
    with celery_worker(tmp_path / "worker.log", environ, options=options):
        backstage = Backstage(
            tmp_path, {**common, "BRIDGE_MESSAGE_QUEUE": shared_redis.url}, broker
        )
        run_whole(Place(backstage, node.url))
        backstage.close()
