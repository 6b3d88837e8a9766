"""The HTTP routes."""

from __future__ import annotations

import gzip
import socket
import uuid
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from celery import Celery
from flask import Flask
from flask.testing import FlaskClient

from bridge import Bridge
from bridge.settings import Settings
from tests.conftest import RedisServer, wait_until
from tests.nodes import SECRET, Worker

ORIGIN = "https://pages.example.org"


@pytest.fixture
def bridge(settings: Settings) -> Iterator[Bridge]:
    made = Bridge(
        Flask(__name__), message_queue=settings.message_queue, channel=settings.channel,
        secret_key=settings.secret_key, async_mode="threading", cors_origins=[ORIGIN],
    )  # fmt: skip
    yield made
    made.stop()


@pytest.fixture
def web(bridge: Bridge) -> FlaskClient:
    return bridge._app.test_client()


@pytest.fixture
def own_worker(settings: Settings) -> Worker:
    return Worker(settings)


def test_health_and_readiness(web: FlaskClient) -> None:
    assert web.get("/healthz").get_json() == {"ok": True}
    wait_until(lambda: web.get("/readyz").status_code == 200)
    report = web.get("/readyz").get_json()
    assert report["ready"] is True
    assert report["mode"] == "threading"
    assert report["queue"]["heard"] is True
    assert 0 <= report["queue"]["seconds"] < 5


def test_not_ready_while_the_queue_is_away_and_no_credentials(own_redis: RedisServer) -> None:
    own_redis.client.config_set("requirepass", "s3cret-word")
    url = own_redis.url.replace("//", "//:s3cret-word@")
    bridge = Bridge(
        Flask(__name__), message_queue=url, channel=uuid.uuid4().hex, secret_key=SECRET,
        async_mode="threading",
    )  # fmt: skip
    web = bridge._app.test_client()
    wait_until(lambda: web.get("/readyz").status_code == 200)

    own_redis.stop()

    wait_until(lambda: web.get("/readyz").status_code == 503)
    wait_until(lambda: web.get("/readyz").get_json()["queue"]["heard"] is False)
    report = web.get("/readyz")
    assert report.get_json()["journal"] == {"reachable": False}
    assert b"s3cret" not in report.data
    answer = web.get(f"/bridge/jobs/a?token={bridge.issue_token('a')}")
    assert answer.status_code == 503
    assert answer.get_json()["error"] == "unavailable"
    assert b"s3cret" not in answer.data
    assert web.get("/healthz").status_code == 200
    bridge.stop()


def test_snapshot_is_the_watch_ack(web: FlaskClient, own_worker: Worker, job: str) -> None:
    own_worker.state(job, "STARTED", current=1)
    own_worker.event(job, data=1)
    own_worker.event(job, data=2)
    token = own_worker.tokens.issue(jobs=job)

    by_header = web.get(f"/bridge/jobs/{job}", headers={"Authorization": f"Bearer {token}"})
    by_query = web.get(f"/bridge/jobs/{job}?token={token}&since=1")

    answer = by_header.get_json()
    assert answer["ok"] is True
    assert answer["job"] == job
    assert answer["snapshot"]["current"] == 1
    assert [event["seq"] for event in answer["events"]] == [1, 2]
    assert answer["gap"] is False
    assert [event["seq"] for event in by_query.get_json()["events"]] == [2]


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/bridge/jobs/known", 403, "forbidden"),
        ("/bridge/jobs/unknown", 403, "forbidden"),
        ("/bridge/jobs/known?token=forged", 403, "forbidden"),
        ("/bridge/jobs/a b", 400, "bad_request"),
        ("/bridge/jobs/" + "a" * 201, 400, "bad_request"),
        ("/bridge/jobs/known?since=-1", 400, "bad_request"),
        ("/bridge/jobs/known?since=1.5", 400, "bad_request"),
        ("/bridge/jobs/known?since=" + "9" * 99, 400, "bad_request"),
        ("/bridge/jobs/known?since=²", 400, "bad_request"),
    ],
)
def test_refusals(web: FlaskClient, own_worker: Worker, path: str, status: int, error: str) -> None:
    own_worker.state("known", "STARTED")

    answer = web.get(path)

    assert answer.status_code == status
    assert answer.get_json()["ok"] is False
    assert answer.get_json()["error"] == error


def test_forbidden_is_the_same_for_known_and_unknown(web: FlaskClient, own_worker: Worker) -> None:
    own_worker.state("known", "STARTED")
    token = own_worker.tokens.issue(jobs="other")

    answers = [web.get(f"/bridge/jobs/{job}?token={token}").data for job in ("known", "unknown")]

    assert answers[0] == answers[1]


def test_unknown_job_is_told_to_who_may(web: FlaskClient, own_worker: Worker) -> None:
    token = own_worker.tokens.issue(jobs="never", actions=["watch", "cancel"])

    assert web.get(f"/bridge/jobs/never?token={token}").status_code == 404
    assert web.post(f"/bridge/jobs/never/cancel?token={token}").status_code == 404


def test_terminating_needs_a_celery_app(
    web: FlaskClient, own_worker: Worker, bridge: Bridge, job: str
) -> None:
    own_worker.state(job, "STARTED")
    token = own_worker.tokens.issue(jobs=job, actions=["cancel"])
    address = f"/bridge/jobs/{job}/cancel?token={token}&terminate="
    assert web.post(address + "maybe").status_code == 400
    refused = web.post(address + "true")
    assert (refused.status_code, refused.get_json()["error"]) == (400, "bad_request")
    assert "Bridge(app, celery=...)" in refused.get_json()["message"]
    assert web.post(f"/bridge/jobs/{job}/cancel?terminate=true").status_code == 403
    assert not own_worker.journal.standings([job])[0].cancel
    assert web.post(address + "false").status_code == 200


def test_terminating_over_a_broker_that_is_away_is_told(
    settings: Settings, own_worker: Worker, job: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole:
        broker = f"redis://127.0.0.1:{hole.getsockname()[1]}/0"
        bridge = Bridge(
            Flask(__name__), celery=Celery("away", broker=broker, set_as_current=False),
            message_queue=settings.message_queue, channel=settings.channel,
            secret_key=settings.secret_key, async_mode="threading",
        )  # fmt: skip
        own_worker.state(job, "STARTED")
        token = own_worker.tokens.issue(jobs=job, actions=["cancel"])
        web = bridge._app.test_client()
        answer = web.post(f"/bridge/jobs/{job}/cancel?token={token}&terminate=true")
        bridge.stop()
    assert (answer.status_code, answer.get_json()["error"]) == (503, "unavailable")
    assert own_worker.journal.standings([job])[0].cancel, "it was asked to stop all the same"


def test_cancel(web: FlaskClient, own_worker: Worker, job: str) -> None:
    own_worker.state(job, "STARTED")
    token = own_worker.tokens.issue(jobs=job, actions=["cancel"])
    path = f"/bridge/jobs/{job}/cancel?token={token}"

    assert web.post(f"/bridge/jobs/{job}/cancel").status_code == 403
    assert web.post(path).get_json() == {"ok": True}
    assert own_worker.state(job).cancel is True
    own_worker.state(job, "REVOKED")
    assert web.post(path).status_code == 409
    assert web.get(path).status_code == 405


def test_widget_is_served_as_a_module_and_revalidated(
    web: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "task-progress.js").write_text("export const x = 1;")
    monkeypatch.setattr("bridge.relay.widget.files", lambda _: tmp_path)

    first = web.get("/bridge/task-progress.js")

    assert first.status_code == 200
    assert first.mimetype == "text/javascript"
    assert first.headers["Cache-Control"] == "no-cache"
    again = web.get("/bridge/task-progress.js", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


def test_widget_is_gzipped_for_who_understands_it(
    web: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    module = tmp_path / "static" / "task-progress.looks.js"
    module.parent.mkdir()
    monkeypatch.setattr("bridge.relay.widget.files", lambda _: tmp_path)

    for text in ("export const x = 1;" * 100, "export const x = 22;" * 100):
        module.write_text(text)
        plain = web.get("/bridge/task-progress.looks.js")
        refused = web.get("/bridge/task-progress.looks.js", headers={"Accept-Encoding": "gzip;q=0"})
        gzipped = web.get("/bridge/task-progress.looks.js", headers={"Accept-Encoding": "br, gzip"})

        assert plain.text == refused.text == gzip.decompress(gzipped.data).decode() == text
        assert "Content-Encoding" not in plain.headers
        assert gzipped.headers["Content-Encoding"] == "gzip"
        assert len(gzipped.data) < 100
        assert "Accept-Encoding" in plain.headers["Vary"]
        assert plain.headers["ETag"] != gzipped.headers["ETag"]
        known = {"Accept-Encoding": "gzip", "If-None-Match": gzipped.headers["ETag"]}
        assert web.get("/bridge/task-progress.looks.js", headers=known).status_code == 304


def test_widget_that_was_not_built_says_so(
    web: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr("bridge.relay.widget.files", lambda _: tmp_path)

    answer = web.get("/bridge/task-progress.js")

    assert answer.status_code == 503
    assert "make build" in answer.text


def test_allowed_origins_may_read(web: FlaskClient) -> None:
    for path in ("/healthz", "/bridge/jobs/a", "/bridge/task-progress.js"):
        allowed = web.get(path, headers={"Origin": ORIGIN})
        assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Origin" in allowed.headers["Vary"]
        other = web.get(path, headers={"Origin": "https://elsewhere.example.org"})
        assert "Access-Control-Allow-Origin" not in other.headers
    preflight = web.options("/bridge/jobs/a", headers={"Origin": ORIGIN})
    assert preflight.headers["Access-Control-Allow-Headers"] == "Authorization"
    posted = web.post("/bridge/jobs/a/cancel", headers={"Origin": ORIGIN})
    assert "Access-Control-Allow-Origin" not in posted.headers


def test_the_package_has_its_static_folder() -> None:
    assert (files("bridge") / "static").is_dir()


def test_what_a_job_tells_is_kept_by_no_cache(web: FlaskClient, own_worker: Worker) -> None:
    own_worker.state("cached", "STARTED")
    token = own_worker.tokens.issue(jobs="cached")
    for answer in (
        web.get("/bridge/jobs/cached", headers={"Authorization": f"Bearer {token}"}),
        web.get("/bridge/jobs/cached"),
        web.post("/bridge/jobs/cached/cancel"),
    ):
        assert answer.headers["Cache-Control"] == "no-store", answer
    assert web.get("/bridge/task-progress.js").headers["Cache-Control"] != "no-store"
