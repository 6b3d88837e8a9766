"""`GET /`: the page on which jobs are started and watched."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, current_app, render_template, request

from bridge.errors import Unavailable
from web.dashboard import NOTHING, line_maker, of_visitor
from web.subjects import kept

LATEST = 6

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def gallery() -> str:
    """Show a form for each kind of job with its task's source, and the visitor's latest jobs."""
    try:
        latest = of_visitor(LATEST, None)
    except Unavailable:
        latest = NOTHING  # Starting a job will say so, and a page without jobs is one, too.
    line_of = line_maker(time.time())
    lines: list[Any] = [line_of(record) for record in latest.snapshots]
    kinds = current_app.extensions["demo-catalog"]
    asked = request.args.get("show", "")
    return render_template(
        "gallery.html",
        kinds=list(kinds.values()),
        chosen=asked if asked in kinds else next(iter(kinds)),
        sources=current_app.extensions["demo-sources"],
        max_upload_bytes=current_app.config["MAX_CONTENT_LENGTH"],
        lines=lines,
        subjects=kept(),
    )
