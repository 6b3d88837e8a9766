"""Schemathesis holds the HTTP routes to docs/openapi.json."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from bridge.settings import Settings
from tests.conftest import redis_server_or_skip
from tests.nodes import SECRET, Node, Worker

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "openapi.json"
CHECKS = [
    not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_headers_conformance, checks.response_schema_conformance,
    checks.unsupported_method, checks.ignored_auth,
]  # fmt: skip
routes = schemathesis.openapi.from_path(DOCUMENT)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The demo's web node on a Redis of its own, because jobs are started that nobody runs."""
    folder = tmp_path_factory.mktemp("routes")
    redis = redis_server_or_skip(folder)
    settings = Settings.load(
        {"message_queue": redis.url, "channel": uuid.uuid4().hex, "secret_key": SECRET}, environ={}
    )
    node = Node(
        settings, program=(sys.executable, "-m", "web"), DEMO_UPLOADS=str(folder / "up"),
        DEMO_ACCOUNTS="true",
    )  # fmt: skip
    yield node
    said = [line for line in node.log if "Traceback" in line or line.startswith("ERROR")]
    node.stop()
    redis.stop()
    assert said == []


@routes.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_routes_keep_their_word(node: Node, case: Any) -> None:
    case.call_and_validate(base_url=node.url, checks=CHECKS)


@routes.include(path_regex="^/bridge/jobs").exclude(path_regex="/events$").parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_with_a_good_token_too(node: Node, case: Any) -> None:
    """Past the permission there is more to break."""
    worker = Worker(node.settings)
    worker.state("known", "STARTED", current=1)
    worker.event("known", data={"a": [1, None]})
    case.path_parameters["job"] = "known"
    token = worker.tokens.issue(jobs="known", actions=("watch", "cancel"))
    response = case.call(base_url=node.url, headers={"Authorization": f"Bearer {token}"})
    case.validate_response(response, checks=[c for c in CHECKS if c is not checks.ignored_auth])


def test_every_route_is_described(node: Node) -> None:
    from web.app import create_app

    rules = create_app(node.settings).url_map.iter_rules()
    paths = {rule.rule.replace("<", "{").replace(">", "}") for rule in rules}
    described = set(json.loads(DOCUMENT.read_text(encoding="utf-8"))["paths"])
    assert paths - {"/static/{path:filename}"} == described


def test_errors_carry_the_security_headers_too(node: Node) -> None:
    for path in ("/", "/nothing", "/demo/jobs/nothing", "/bridge/jobs/a", "/static/../app.py"):
        headers = requests.get(node.url + path, timeout=30).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert "default-src 'none'" in headers["Content-Security-Policy"], path
        assert "Server" not in headers or "Python" not in headers["Server"], path
