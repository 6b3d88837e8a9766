"""Sign in to the demo's accounts and out again: `/sign-in`, `POST /sign-out`."""

from __future__ import annotations

import re

from flask import Blueprint, current_app, redirect, render_template, request, session
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from web.accounts import ACCOUNTS, account_of
from web.identity import sign_in
from web.settings import DemoSettings

HOME = "/jobs"
#: A browser reads `//host`, `/\\host` and `/<tab>/host` as another host.
OURS = re.compile(r"/(?!/)[!-\[\]-~]*")

blueprint = Blueprint("sign_in", __name__)


@blueprint.get("/sign-in")
def form() -> ResponseReturnValue:
    """Show who can sign in, and with which password."""
    _check_offered()
    return _page(onward(request.args.get("next")))


@blueprint.post("/sign-in")
def enter() -> ResponseReturnValue:
    """Sign in and go on to where the visitor came from."""
    _check_offered()
    target = onward(request.form.get("next"))
    account = account_of(request.form.get("name", ""), request.form.get("password", ""))
    if account is None:
        return _page(target, wrong=True), 403
    sign_in(account)
    return redirect(target, 303)


@blueprint.post("/sign-out")
def leave() -> ResponseReturnValue:
    """Forget who uses this browser, a guest too."""
    session.clear()
    return redirect("/", 303)


def onward(target: str | None) -> str:
    """Return where to go after signing in: a path of this node, whatever was asked for."""
    return target if target and OURS.fullmatch(target) else HOME


def _page(target: str, *, wrong: bool = False) -> str:
    return render_template("sign_in.html", accounts=ACCOUNTS.values(), target=target, wrong=wrong)


def _check_offered() -> None:
    settings: DemoSettings = current_app.extensions["demo-settings"]
    if not settings.accounts:
        raise NotFound("nobody can sign in here: DEMO_ACCOUNTS is not on")
