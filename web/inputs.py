"""Take a job's input out of a request: JSON, a form, or a form with files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from flask import Request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge

from bridge.errors import BadRequest
from web.catalog import JobKind
from web.fields import shown

MAX_JSON_BYTES = 65_536
FORM = "application/x-www-form-urlencoded"
UPLOAD = "multipart/form-data"
JSON = "application/json"


def read_fields(kind: JobKind, request: Request) -> dict[str, Any]:
    """Return the values of a job's fields, defaults filled in.

    Args:
        kind: the kind of job.
        request: it holds a JSON object, a form, or nothing.

    Raises:
        BadRequest: a field is unknown, its value isn't allowed, or the body is of another kind.
        RequestEntityTooLarge: the body is too large.
    """
    from_form = request.mimetype in (FORM, UPLOAD)
    given = _form(request) if from_form else _json(kind, request)
    known = {field.name: field for field in kind.fields}
    for name in given:
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise BadRequest(f"field {shown(name)} is unknown; {kind.name} has: {allowed}")
    values = {
        name: field.read(given[name], from_form=from_form) if name in given else field.default
        for name, field in known.items()
    }
    if kind.check:
        kind.check(values)
    return values


def read_files(kind: JobKind, request: Request) -> list[FileStorage]:
    """Return the files of a request, at least one where the job needs some.

    Args:
        kind: the kind of job.
        request: a form with files.

    Raises:
        BadRequest: files are missing, too many, in another field, or not in a form with files.
    """
    if kind.files is None:
        for name in request.files:
            raise BadRequest(f"file {shown(name)}: {kind.name} takes no files")
        return []
    if request.mimetype != UPLOAD:
        raise BadRequest(f"{kind.name} needs a file: {upload_hint(kind)}")
    for name in request.files:
        if name != kind.files.name:
            raise BadRequest(f"file field {shown(name)} is unknown: {upload_hint(kind)}")
    files = request.files.getlist(kind.files.name)
    if not files and kind.files.name in request.form:
        raise BadRequest(f"{kind.files.name}: a file is needed, not a text; {upload_hint(kind)}")
    if not files:
        raise BadRequest(f"{kind.files.name} is missing: {upload_hint(kind)}")
    if len(files) > kind.files.most:
        raise BadRequest(
            f"{kind.files.name}: {len(files)} files are too many, {kind.files.most} may be sent"
        )
    return files


def upload_hint(kind: JobKind) -> str:
    """Return how to send a file to this kind of job."""
    field = kind.files.name if kind.files else "file"
    return f"send it as {UPLOAD} in the field {field!r}, e.g. curl -F {field}=@FILE"


def _form(request: Request) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, texts in request.form.lists():
        if len(texts) > 1:
            raise BadRequest(f"field {shown(name)} is there {len(texts)} times: send it once")
        values[name] = texts[0]
    return values


def _json(kind: JobKind, request: Request) -> Mapping[str, Any]:
    body = request.stream.read(MAX_JSON_BYTES + 1)
    if len(body) > MAX_JSON_BYTES:
        raise RequestEntityTooLarge(f"the JSON is over {MAX_JSON_BYTES:,} bytes: send less")
    if not body and request.mimetype in ("", JSON):
        return {}
    if request.mimetype != JSON:
        raise BadRequest(
            f"Content-Type {shown(request.mimetype)}: send {JSON}, or a form as {FORM}"
        )
    value = _parsed(body)
    if not isinstance(value, dict):
        raise BadRequest(f"the body is {shown(value)}: a JSON object is needed, e.g. {{}}")
    return value


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(
            body.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_distinct
        )
    except RecursionError:
        raise BadRequest("the JSON is nested too deeply: send a flat object") from None
    except ValueError as error:
        raise BadRequest(f"the body is not JSON ({error}): send an object, e.g. {{}}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a field is there twice")
    return values
