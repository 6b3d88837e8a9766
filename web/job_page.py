"""`GET /jobs/<job>`: one job, to its owner, an admin, and whoever has a link with a token."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from bridge import Bridge
from bridge.errors import Finished, Forbidden, Refused, UnknownJob
from bridge.records import FINAL
from web import figures
from web.dashboard import line_maker
from web.identity import may
from web.refusals import NO_STORE, refused_page
from web.sound import LATEST, sendable, sound
from web.timeline import Timeline, stages_of
from web.workflow import MOST, Node, tree_of

EVENTS = 200

blueprint = Blueprint("job_page", __name__)


@blueprint.get("/jobs/<job>")
def page(job: str) -> ResponseReturnValue:
    """Show a job as it stands."""
    bridge: Bridge = current_app.extensions["celery-bridge"]
    token = request.args.get("token")
    try:
        seen = bridge.look(job, since=-1, token=token)
        if seen["snapshot"] is None:  # It has told events, and no state yet.
            return _page(None, job=job, token=token)
        record = sound(seen["snapshot"])
        since = max(0, record["last_seq"] - EVENTS)
        events = bridge.look(job, since=since, token=token)["events"][-EVENTS:]
        tree = _workflow(bridge, record)
    except Refused as error:
        return refused_page(error)
    return _page(
        record,
        job=job,
        token=token,
        events=events,
        dropped=since > 0,
        tree=tree,
        may_cancel="cancel" in seen["actions"] and record["state"] not in FINAL,
        may_share="cancel" in seen["actions"] and bridge.tokens is not None,
        stopping="stopping" in request.args,
    )


@blueprint.post("/jobs/<job>/cancel")
def cancel(job: str) -> ResponseReturnValue:
    """Ask a job to stop, where no script does; goes on to its page."""
    bridge: Bridge = current_app.extensions["celery-bridge"]
    token = request.form.get("token")
    # One that has just ended has nothing left to stop, and its page says so.
    with suppress(Finished):
        bridge.cancel(job, token=token)
    return redirect(url_for("job_page.page", job=job, token=token, stopping=1), 303)


def _page(record: dict[str, Any] | None, *, job: str, **values: Any) -> ResponseReturnValue:
    now = time.time()
    line_of = line_maker(now)
    answer = render_template(
        "job.html",
        job=job,
        line_of=line_of,
        record=record,
        line=None if record is None else line_of(record),
        over=record is not None and record["state"] in FINAL,
        timeline=None if record is None else Timeline.of(record, now),
        stages=[] if record is None else stages_of(record),
        facts=[] if record is None else facts(record, now),
        **values,
    )
    # The address may hold a token: no other page is told it. Of "no-referrer" forms would say no
    # origin either, which is refused.
    return answer, {**NO_STORE, "Referrer-Policy": "strict-origin"}


def _workflow(bridge: Bridge, record: dict[str, Any]) -> list[Node]:
    """Return the tree that the job is part of, as far as the visitor's session may see it."""
    root = record["root"] or record["job"]
    listed = bridge.list_jobs(root=root, limit=MOST).snapshots
    if root != record["job"]:
        # Who may not see it hears the same as where it is not there: nothing.
        with suppress(Forbidden, UnknownJob):
            listed.append(bridge.look(root, since=-1)["snapshot"] or {})
    records = [sound(each) for each in listed if each]
    return tree_of([*records, record], lambda each: each is record or _may_see(bridge, each))


def _may_see(bridge: Bridge, record: Any) -> bool:
    return bridge.settings.public or may(current_user, record, "watch")


def facts(record: dict[str, Any], now: float) -> list[tuple[str, str, float | None]]:
    """Return what is known of a job: (name, value for people, the Unix second of a time)."""
    queued, started, ended = record["queued_at"], record["started_at"], record["ended_at"]
    first = next((run["started_at"] for run in record["runs"] if run.get("started_at")), started)
    took = (ended or now) - started if started else None
    found: list[tuple[str, Any, float | None]] = [
        ("Queued", clock(queued), queued),
        ("Started", clock(first), first),
        ("Ended", clock(ended) if record["state"] in FINAL else "", ended),
        ("Waited", figures.duration(first - queued) if queued and first else "", None),
        ("Last run took" if ended else "Running for", figures.duration(took), None),
        ("Tries", str(record["attempt"] + 1), None),
        ("Worker", record["worker"], None),
        ("Queue", record["queue"], None),
        ("User", record["user"], None),
        ("Task", record["task"], None),
    ]
    return [(name, str(value), at) for name, value, at in found if value]


def clock(seconds: Any) -> str:
    """Return a time of day; scripts turn it into the reader's own."""
    if not isinstance(seconds, int | float) or not 0 < seconds <= LATEST:
        return ""
    return time.strftime("%H:%M:%S UTC", time.gmtime(seconds))


def told(value: Any, depth: int = 4) -> str:
    """Return a JSON value in one line, for people: not too deep and not too long."""
    if isinstance(value, dict | list):
        if not depth:
            return "…"
        named = value.items() if isinstance(value, dict) else map(_named, value)
        parts = [f"{told(name, depth - 1)} {told(each, depth - 1)}".strip() for name, each in named]
        return " · ".join(parts)[:2000]
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < figures.MOST):
        return str(value) if isinstance(value, bool) else f"{value:,}"
    return "" if value is None else sendable(str(value)[:2000])


def _named(value: Any) -> tuple[Any, Any]:
    """A list of pairs, such as words and their counts, reads as an object would."""
    return (value[0], value[1]) if isinstance(value, list) and len(value) == 2 else ("", value)
