"""`GET /jobs`: the visitor's jobs, an admin's are all; `GET /demo/jobs` lists them as JSON."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, current_app, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from bridge import Bridge
from bridge.errors import BadRequest, Refused
from bridge.relay.answers import JobList
from web.catalog import JobKind
from web.identity import visitor_or_none
from web.order import CHOICES, COLUMNS, Order
from web.refusals import NO_STORE, refused_page
from web.sound import sound
from web.summaries import GROUPS, Filter, Line, brief, counted, task_title
from web.throughput import Throughput

#: How many jobs the server looks at for the first paint, and how many of them it draws.
LOOKED_AT = 200
DRAWN = 40
MOST_AT_ONCE = 500
NOTHING = JobList([], None)

blueprint = Blueprint("dashboard", __name__)


@blueprint.get("/jobs")
def page() -> ResponseReturnValue:
    """Show the visitor's jobs as they stand."""
    try:
        listed = of_visitor(LOOKED_AT, None)
    except Refused as error:
        return refused_page(error)
    now = time.time()
    wanted = Filter.of(request.args)
    order = Order.of(request.args)
    line_of = line_maker(now)
    lines = [line_of(record) for record in listed.snapshots]
    shown = order.put([line for line in lines if wanted.lets_through(line)])
    return render_template(
        "jobs.html",
        groups=GROUPS,
        wanted=wanted,
        order=order,
        columns=COLUMNS,
        orders=CHOICES,
        lines=shown[:DRAWN],
        total=len(shown),
        everything=len(lines),
        more=listed.cursor is not None,
        counts=counted(line for line in lines if wanted.finds(line)),
        throughput=Throughput.of(listed.snapshots, now),
        titles=task_titles(),
    ), NO_STORE


@blueprint.get("/demo/jobs")
def listed_jobs() -> ResponseReturnValue:
    """List the visitor's jobs, newest first, page by page."""
    found = of_visitor(_limit(), _cursor())
    answer = {"jobs": [brief(record) for record in found.snapshots], "cursor": found.cursor}
    return jsonify(answer), 200, NO_STORE


def of_visitor(limit: int, cursor: str | None) -> JobList:
    """Return the jobs that the visitor may see; who is nobody yet has none.

    Raises:
        Refused: the journal can't be reached.
    """
    visitor = visitor_or_none()
    if visitor is None:
        return NOTHING
    bridge: Bridge = current_app.extensions["celery-bridge"]
    user = None if visitor.admin else visitor.id
    found = bridge.list_jobs(user=user, limit=limit, cursor=cursor)
    return JobList([sound(record) for record in found.snapshots], found.cursor)


def line_maker(now: float) -> Callable[[Mapping[str, Any]], Line]:
    """Return what makes a line of a state record.

    Args:
        now: the Unix second at which the jobs are looked at.
    """
    titles = task_titles()
    return lambda record: Line(
        record, titles.get(record["task"]) or task_title(record["task"]), now
    )


def task_titles() -> dict[str, str]:
    """Return the names for people of the tasks that we know."""
    kinds: dict[str, JobKind] = current_app.extensions["demo-catalog"]
    return {kind.task: kind.title for kind in kinds.values()}


def _limit() -> int:
    text = request.args.get("limit", "100")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= MOST_AT_ONCE):
        raise BadRequest(f"limit: a whole number from 1 to {MOST_AT_ONCE} is needed")
    return int(text[:4])


def _cursor() -> str | None:
    cursor = request.args.get("cursor")
    if cursor is None or (cursor.isascii() and cursor.isdigit() and len(cursor) <= 17):
        return cursor
    raise BadRequest("cursor is not one that an answer of this node gave")
