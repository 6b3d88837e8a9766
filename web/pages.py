"""`GET /`: the page on which jobs are started and watched."""

from __future__ import annotations

from flask import Blueprint, current_app, render_template

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def gallery() -> str:
    """Show a form for each kind of job, and the jobs of this browser."""
    return render_template(
        "gallery.html",
        kinds=list(current_app.extensions["demo-catalog"].values()),
        max_upload_bytes=current_app.config["MAX_CONTENT_LENGTH"],
    )
