from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from kombu.exceptions import OperationalError
from werkzeug.test import TestResponse

from web import demo
from web.demo import QUEUE

Submitted = list[tuple[str, dict[str, Any], dict[str, Any]]]


def file(content: bytes = b"a,b\n1,2\n", name: str = "x.csv") -> tuple[io.BytesIO, str]:
    return io.BytesIO(content), name  # Werkzeug closes it, so each request needs a new one.


def refused(response: TestResponse, status: int, error: str) -> str:
    """Check an error's form and return its message."""
    assert response.status_code == status, response.text
    assert response.json is not None
    assert response.json["error"] == error
    assert set(response.json) == {"error", "message"}
    return str(response.json["message"])


@pytest.mark.parametrize(
    ("name", "sent", "arguments"),
    [
        ("checksum_folder", {}, {"folder": "/std/lib"}),
        ("checksum_folder", {"folder": "/data"}, {"folder": "/data"}),
        ("flaky", {}, {"failures": 2, "countdown": 1, "outcome": "success"}),
        (
            "flaky",
            {"failures": 0, "countdown": 0.5, "outcome": "failure"},
            {"failures": 0, "countdown": 0.5, "outcome": "failure"},
        ),
        ("metronome", {"steps": 5}, {"steps": 5, "interval": 0.1}),
        ("metronome", {"steps": 5.0, "interval": 2}, {"steps": 5, "interval": 2}),
    ],
)
def test_json_starts_a_job(
    client: FlaskClient,
    submitted: Submitted,
    name: str,
    sent: dict[str, Any],
    arguments: dict[str, Any],
) -> None:
    response = client.post(f"/demo/jobs/{name}", json=sent)
    assert response.status_code == 201, response.text
    assert response.json == {"job": "job-1", "token": "a token"}
    assert response.headers["Cache-Control"] == "no-store"
    user = submitted[0][2].pop("user")
    assert user.startswith("guest-")
    options = {"queue": QUEUE, "actions": ("watch", "cancel")}
    assert submitted == [(f"workers.{name}", arguments, options)]
    assert isinstance(submitted[0][1].get("steps", 0), int)


def test_no_body_means_the_defaults(client: FlaskClient, submitted: Submitted) -> None:
    assert client.post("/demo/jobs/metronome").status_code == 201
    assert submitted[0][1] == {"steps": 100, "interval": 0.1}


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_starts_a_job(client: FlaskClient, submitted: Submitted, kind: str) -> None:
    sent = {"steps": "7", "interval": "0.5"}
    response = client.post("/demo/jobs/metronome", data=sent, content_type=kind)
    assert response.status_code == 201, response.text
    assert submitted[0][1] == {"steps": 7, "interval": 0.5}


def test_a_file_is_kept_under_a_random_name(
    client: FlaskClient, submitted: Submitted, uploads: Path
) -> None:
    sent = {"file": file(b"a,b\n", "../../etc/passwd.csv")}
    assert client.post("/demo/jobs/import_csv", data=sent).status_code == 201
    [(task, arguments, _)] = submitted
    assert task == "workers.import_csv"
    assert arguments["name"] == "passwd.csv"
    [kept] = uploads.iterdir()
    assert kept.name == arguments["upload"]
    assert kept.read_bytes() == b"a,b\n"
    assert uploads.stat().st_mode & 0o777 == 0o700
    assert kept.stat().st_mode & 0o777 == 0o600


def test_several_files(client: FlaskClient, submitted: Submitted, uploads: Path) -> None:
    sent = {"file": [file(b"one", "1.txt"), file(b"two", "2.txt")]}
    assert client.post("/demo/jobs/count_words", data=sent).status_code == 201
    arguments = submitted[0][1]
    assert arguments["names"] == ["1.txt", "2.txt"]
    assert [(uploads / name).read_bytes() for name in arguments["uploads"]] == [b"one", b"two"]


WRONG_FIELDS = [
    ("metronome", {"steps": True}, "steps=True: a whole number from 1 to 100,000"),
    ("metronome", {"steps": "5"}, "steps='5'"),
    ("metronome", {"steps": None}, "steps=None"),
    ("metronome", {"steps": [5]}, "steps=[5]"),
    ("metronome", {"steps": {}}, "steps={}"),
    ("metronome", {"steps": 0}, "steps=0"),
    ("metronome", {"steps": -3}, "steps=-3"),
    ("metronome", {"steps": 1.5}, "steps=1.5"),
    ("metronome", {"steps": 1e300}, "steps=1e+300"),
    ("metronome", {"steps": 10**400}, "steps=1000000"),
    ("metronome", {"interval": -0.1}, "interval=-0.1: a number from 0 to 60"),
    ("metronome", {"interval": 61}, "interval=61"),
    ("metronome", {"steps": 5, "speed": 2}, "field 'speed' is unknown; metronome has: steps"),
    ("metronome", {"x" * 5000: 2}, "is unknown"),
    ("metronome", {"steps": 100_000, "interval": 60}, "20 minutes"),
    ("flaky", {"failures": 21}, "failures=21: a whole number from 0 to 20"),
    ("flaky", {"countdown": 1e9}, "countdown=1000000000.0"),
    ("flaky", {"outcome": "maybe"}, "outcome='maybe': one of success, failure"),
    ("flaky", {"outcome": None}, "outcome=None"),
    ("flaky", {"outcome": ["success"]}, "outcome=['success']"),
    ("checksum_folder", {"folder": "/etc"}, "folder='/etc': one of /std/lib, /data"),
    ("checksum_folder", {"folder": "/data/.."}, "folder='/data/..'"),
    ("checksum_folder", {"folder": 5}, "folder=5"),
    ("checksum_folder", {"folder": "x" * 100_00}, "folder='xxx"),
]


@pytest.mark.parametrize(("name", "sent", "why"), WRONG_FIELDS)
def test_a_wrong_field_is_named_with_its_value_and_the_fix(
    client: FlaskClient, submitted: Submitted, name: str, sent: dict[str, Any], why: str
) -> None:
    message = refused(client.post(f"/demo/jobs/{name}", json=sent), 400, "bad_request")
    assert why in message
    assert len(message) < 300
    assert submitted == []


@pytest.mark.parametrize(
    "text", ["", "x", "1e", "0x5", "nan", "inf", "-1", "1.5", "1_0", "\u0665x"]
)
def test_a_wrong_text_in_a_form_is_named(
    client: FlaskClient, submitted: Submitted, text: str
) -> None:
    message = refused(client.post("/demo/jobs/metronome", data={"steps": text}), 400, "bad_request")
    assert f"steps={text!r}: a whole number" in message
    assert submitted == []


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", None),
        (b"{", "not JSON"),
        (b"steps=5", "not JSON"),
        (b"[]", "a JSON object is needed"),
        (b"5", "the body is 5: a JSON object is needed"),
        (b"null", "the body is None"),
        (b'"text"', "a JSON object is needed"),
        (b'{"steps": NaN}', "NaN is not a JSON number"),
        (b'{"interval": Infinity}', "Infinity is not a JSON number"),
        (b'{"interval": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"interval": 1e999}', "interval=inf"),
        (b'{"steps": 1, "steps": 2}', "a field is there twice"),
        (b'{"steps": ' + b"9" * 5000 + b"}", "steps"),
        (b"\xff\xfe{}", "not JSON"),
        (b'{"steps": "\xff"}', "not JSON"),
        (b"[" * 60_000, "nested too deeply"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested too deeply"),
    ],
)
def test_a_body_that_is_no_json_object(
    client: FlaskClient, submitted: Submitted, body: bytes, why: str | None
) -> None:
    response = client.post("/demo/jobs/metronome", data=body, content_type="application/json")
    if why is None:
        assert response.status_code == 201
        return
    message = refused(response, 400, "bad_request")
    if why != "steps":  # Python may refuse such a number before we do.
        assert why in message
    assert len(message) < 300
    assert submitted == []


WRONG_FILES: list[tuple[str, dict[str, Any], str]] = [
    ("import_csv", {}, "file is missing: send it as multipart/form-data in the field 'file'"),
    ("import_csv", {"file": file(name="")}, "file has no name: choose a file"),
    ("import_csv", {"file": file(name=" \t")}, "file has no name"),
    ("import_csv", {"file": file(name="a/")}, "file has no name"),
    ("import_csv", {"file": file(b"")}, "file 'x.csv' is empty"),
    ("import_csv", {"file": [file(), file()]}, "2 files are too many, 1 may be sent"),
    ("import_csv", {"data": file()}, "file field 'data' is unknown: send it"),
    ("import_csv", {"file": "a,b"}, "file: a file is needed, not a text"),
    ("import_csv", {"file": file(), "speed": "1"}, "field 'speed' is unknown"),
    ("count_words", {"file": [file(name=f"{n}.txt") for n in range(21)]}, "21 files are too many"),
    ("count_words", {"file": [file(), file(b"")]}, "is empty"),
    ("metronome", {"file": file()}, "file 'file': metronome takes no files"),
]


@pytest.mark.parametrize(("name", "sent", "why"), WRONG_FILES)
def test_wrong_files_are_told_and_nothing_is_kept(
    client: FlaskClient,
    submitted: Submitted,
    uploads: Path,
    name: str,
    sent: dict[str, Any],
    why: str,
) -> None:
    response = client.post(f"/demo/jobs/{name}", data=sent, content_type="multipart/form-data")
    message = refused(response, 400, "bad_request")
    assert why in message
    assert submitted == []
    assert not uploads.exists() or list(uploads.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kind", "hint"),
    [
        ("metronome", "text/plain", "send application/json"),
        ("metronome", "application/xml", "send application/json"),
        ("metronome", "", "send application/json"),
        ("import_csv", "application/json", "curl -F file=@FILE"),
        ("import_csv", "text/csv", "curl -F file=@FILE"),
        ("import_csv", "application/x-www-form-urlencoded", "curl -F file=@FILE"),
    ],
)
def test_another_content_type_is_bad_input(
    client: FlaskClient, submitted: Submitted, name: str, kind: str, hint: str
) -> None:
    response = client.post(f"/demo/jobs/{name}", data=b"{}", content_type=kind)
    assert hint in refused(response, 400, "bad_request")
    assert submitted == []


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        (
            "metronome",
            {"data": json.dumps({"a": "x" * 70_000}), "content_type": "application/json"},
        ),
        (
            "metronome",
            {"data": b"a" * 200_000, "content_type": "application/x-www-form-urlencoded"},
        ),
        ("import_csv", {"data": {"file": file(b"x" * 200_000)}}),
        ("count_words", {"data": {"file": [file(b"x" * 60_000), file(b"x" * 60_000)]}}),
    ],
)
def test_too_much_is_413_and_nothing_is_kept(
    client: FlaskClient, submitted: Submitted, uploads: Path, name: str, sent: dict[str, Any]
) -> None:
    refused(client.post(f"/demo/jobs/{name}", **sent), 413, "request_entity_too_large")
    assert submitted == []
    assert not uploads.exists()


@pytest.mark.parametrize("name", ["nothing", "metronome2", "..", "%00", "METRONOME", "a" * 5000])
def test_an_unknown_job_is_404(client: FlaskClient, submitted: Submitted, name: str) -> None:
    message = refused(client.post(f"/demo/jobs/{name}", json={}), 404, "not_found")
    assert len(message) < 400
    assert submitted == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_405(client: FlaskClient, method: str) -> None:
    refused(client.open("/demo/jobs/metronome", method=method), 405, "method_not_allowed")


def test_a_queue_that_does_not_answer_is_503_and_the_file_goes(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, uploads: Path
) -> None:
    def submit(*args: object, **options: object) -> SimpleNamespace:
        raise OperationalError("connection refused to redis://:secret@host")

    monkeypatch.setattr(demo, "submit", submit)
    message = refused(
        client.post("/demo/jobs/import_csv", data={"file": file()}), 503, "unavailable"
    )
    assert "secret" not in message
    assert list(uploads.iterdir()) == []


def test_errors_elsewhere_are_left_to_flask(client: FlaskClient) -> None:
    response = client.get("/nothing")
    assert response.status_code == 404
    assert response.mimetype == "text/html"


def test_the_celery_client_follows_no_results(app: Flask) -> None:
    celery = app.extensions["demo-celery"]
    assert celery.backend.__class__.__name__ == "DisabledBackend"
    assert celery.conf.accept_content == ["json"]


def test_what_the_latest_jobs_were_started_with_stays_in_the_cookie(
    client: FlaskClient, submitted: Submitted
) -> None:
    for steps in range(1, 9):
        client.post("/demo/jobs/metronome", json={"steps": steps, "interval": 0.5})
    with client.session_transaction() as session:
        kept = dict(session["subjects"])
    assert list(kept) == [f"job-{n}" for n in range(3, 9)]
    assert kept["job-8"].startswith("Steps: 8, ")
    assert kept["job-8"].endswith(": 0.5")
    for _ in range(6):
        files = [file(name="語🦀" * 100 + ".txt"), file(name="b.txt")]
        answer = client.post("/demo/jobs/count_words", data={"file": files})
        assert answer.status_code == 201
        assert len(answer.headers["Set-Cookie"]) < 4000, "browsers keep no longer ones"
    with client.session_transaction() as session:
        assert len(dict(session["subjects"])["job-9"]) == 80
