"""`bridge watch`: follows a job in the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any, Final

import click

from bridge.client import Change, EventChange, StateChange, Watch
from bridge.errors import BridgeError, Refused
from bridge.records import FINAL, SUCCESS
from bridge.settings import Settings
from bridge.tokens import Tokens

REFUSED_EXIT: Final = 2
_NO_RICH: Final = "a progress bar needs the package rich: pip install 'celery-bridge[client]'"


@click.command()
@click.argument("job")
@click.option("--url", help="Address of the web node; default: BRIDGE_HOST and BRIDGE_PORT.")
@click.option("--token", help="Permission to watch; default: signed here, if a secret is set here.")
@click.option("--plain", is_flag=True, help="Lines instead of a bar, as when piped.")
def watch(job: str, url: str | None, token: str | None, plain: bool) -> None:
    """Follow JOB until it ends.

    The exit status is 0 for SUCCESS, 1 for FAILURE and REVOKED, 2 if the node refuses.
    """
    try:
        settings = Settings.load()
        with Watch(
            url or f"http://{settings.host}:{settings.port}",
            job,
            token or _own_token(settings, job),
            namespace=settings.namespace,
        ) as changes:
            show = _show_lines if plain or not sys.stdout.isatty() else _show_bar
            state = show(changes)
    except Refused as error:
        click.echo(f"Error: {error} ({error.code})", err=True)
        sys.exit(REFUSED_EXIT)
    except BridgeError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(0 if state == SUCCESS else 1)


def _own_token(settings: Settings, job: str) -> str | None:
    if not settings.secret_key:
        return None
    return Tokens(settings.secret_key, seconds=settings.retention).issue(jobs=job)


def _show_lines(changes: Iterable[Change]) -> str:
    last = ""
    for change in changes:
        click.echo(f"{time.strftime('%H:%M:%S')} {_line(change)}")
        if isinstance(change, StateChange):
            last = change.state["state"]
    return last


def _line(change: Change) -> str:
    if isinstance(change, StateChange):
        state = change.state
        parts = [state["state"], _amount(state), state["stage"], state["message"], _error(state)]
        return "  ".join(part for part in parts if part)
    if isinstance(change, EventChange):
        return f"* {change.name} {change.event.get('data')}"
    return f"* events {change.first} to {change.last or '?'} are no longer kept"


def _amount(state: dict[str, Any]) -> str:
    current, total, unit = state["current"], state["total"], state["unit"] or ""
    if current is None:
        return ""
    if not total:
        return f"{current:g} {unit}".rstrip()
    return f"{current / total:4.0%}  {current:g}/{total:g} {unit}".rstrip()


def _error(state: dict[str, Any]) -> str:
    error = state["error"]
    return f"{error['type']}: {error['message']}" if error else ""


def _show_bar(changes: Iterable[Change]) -> str:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    except ImportError:
        click.echo(_NO_RICH, err=True)
        return _show_lines(changes)
    last = ""
    columns = (
        TextColumn("{task.fields[state]}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console()) as bar:
        task = bar.add_task("", state="waiting", total=None)
        for change in changes:
            if isinstance(change, StateChange):
                state = change.state
                last = state["state"]
                done = 1 if last in FINAL and not state["total"] else state["current"] or 0
                total = 1 if last in FINAL and not state["total"] else state["total"]
                bar.update(task, completed=done, total=total, state=last, description=_about(state))
            else:
                bar.console.print(_line(change), markup=False, highlight=False)
    return last


def _about(state: dict[str, Any]) -> str:
    eta = None if state["eta"] is None or state["state"] in FINAL else f"{state['eta']:.0f} s left"
    parts = [state["stage"], state["message"], eta, _error(state)]
    return "  ".join(part for part in parts if part)
