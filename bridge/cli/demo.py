"""`bridge demo`: Redis, a worker and a web node in one command."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli.demo_checkout import checkout
from bridge.cli.demo_ports import free_port, web_port
from bridge.cli.demo_readiness import redis_answers, web_answers, worker_answers
from bridge.cli.embedded_redis import HOST, embedded_server
from bridge.errors import BridgeError
from bridge.settings import Settings, hide_credentials

if TYPE_CHECKING:
    from bridge.cli.demo_supervisor import Supervisor

WORKER_PROCESSES = 2
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
# Celery's advice for servers; in the containers in which people try things, root is normal.
AS_ROOT = "ignore:You're running the worker with superuser privileges"
NO_HONCHO = "the demo needs more than is installed: pip install 'celery-bridge[demo]'"


class QueueSilent(BridgeError):
    """The server in BRIDGE_MESSAGE_QUEUE doesn't answer."""


@dataclass(frozen=True)
class Plan:
    """What the demo's parts have in common.

    Attributes:
        root: the folder with `workers` and `web`.
        folder: a private folder that goes away with the demo.
        settings: those of the user, checked.
        environ: the user's environment and what the demo adds.
        port: where the web node will listen.
    """

    root: Path
    folder: Path
    settings: Settings
    environ: Mapping[str, str]
    port: int

    @property
    def address(self) -> str:
        """The host under which this machine reaches the web node."""
        return EVERYWHERE.get(self.settings.host, self.settings.host)

    @property
    def url(self) -> str:
        """The page to open."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}/"


@click.command()
def demo() -> None:
    """Start everything here: a Redis, a Celery worker, a web node.

    Open the URL that appears. Ctrl-C stops all of it and leaves nothing behind.

    BRIDGE_PORT chooses the port, BRIDGE_MESSAGE_QUEUE a Redis that runs already.
    """
    try:
        import honcho  # noqa: F401
    except ImportError:
        raise click.ClickException(NO_HONCHO) from None
    try:
        with tempfile.TemporaryDirectory(
            prefix="celery-bridge-demo-", ignore_cleanup_errors=True
        ) as folder:
            run(make_plan(Path(folder), os.environ))
    except BridgeError as error:
        raise click.ClickException(str(error)) from error


def make_plan(folder: Path, environ: Mapping[str, str]) -> Plan:
    """Check what the user has set and find what is free.

    Args:
        folder: a private folder.
        environ: the user's environment.

    Raises:
        BridgeError: a setting is wrong, a port is in use, or there is no checkout.
    """
    root = checkout()
    settings = Settings.load(environ=environ)
    asked = settings.port if environ.get("BRIDGE_PORT") else None
    port = web_port(settings.host, asked, Settings().port)
    paths = filter(None, (str(root), environ.get("PYTHONPATH")))
    added = {
        "BRIDGE_HOST": settings.host,
        "BRIDGE_PORT": str(port),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        # Parts that are killed leave temporary files; there they go away with all the rest.
        "TMPDIR": str(folder),
    }
    if not settings.secret_key:
        added["BRIDGE_SECRET_KEY"] = secrets.token_urlsafe(32)
    if not environ.get("DEMO_ACCOUNTS"):
        added["DEMO_ACCOUNTS"] = "true"
    if not environ.get("DEMO_UPLOADS"):
        added["DEMO_UPLOADS"] = str(folder / "uploads")
    return Plan(root, folder, settings, {**environ, **added}, port)


def run(plan: Plan) -> None:
    """Start the parts, say where the page is, and wait for the end.

    Raises:
        BridgeError: a part failed.
    """
    from bridge.cli.demo_supervisor import Stopped, Supervisor

    with Supervisor(sys.stdout, plan.folder) as supervisor:
        try:
            queue = start_queue(supervisor, plan)
            start_parts(supervisor, plan, queue)
            click.secho(f"\ncelery-bridge is ready: {plan.url}  (Ctrl-C stops it)\n", bold=True)
            supervisor.watch()
        except Stopped:
            click.echo("Stopping.")


def start_queue(supervisor: Supervisor, plan: Plan) -> str:
    """Start a Redis, unless the user has one, and wait until it answers.

    Returns:
        The URL of the message queue.
    """
    from bridge.cli.demo_supervisor import Part

    if plan.environ.get("BRIDGE_MESSAGE_QUEUE"):
        url = plan.settings.message_queue
        if not redis_answers(url):
            raise QueueSilent(
                f"BRIDGE_MESSAGE_QUEUE={hide_credentials(url)} doesn't answer: start that server, "
                "or unset the variable and the demo brings its own"
            )
        return url
    server = embedded_server(plan.folder, free_port(HOST))
    if server.warning:
        click.secho(f"Warning: {server.warning}", fg="yellow", err=True)
    click.echo(f"Redis: {server.origin}")
    supervisor.start(
        Part("redis", server.command, plan.environ, lambda: redis_answers(server.url), plan.root)
    )
    supervisor.wait_ready("redis")
    return server.url


def start_parts(supervisor: Supervisor, plan: Plan, queue: str) -> None:
    """Start the worker and the web node and wait until both do their work."""
    from bridge.cli.demo_supervisor import Part

    environ = {**plan.environ, "BRIDGE_MESSAGE_QUEUE": queue}
    name = f"demo-{secrets.token_hex(4)}@{HOST}"
    worker = (
        *(sys.executable, "-W", AS_ROOT, "-m", "celery", "--quiet", "-A", "workers.app", "worker"),
        *("--concurrency", str(WORKER_PROCESSES), "--hostname", name, "--loglevel", "INFO"),
        *("--without-mingle", "--without-gossip"),
    )
    # A cold shutdown: running jobs go back to the queue at once instead of being waited for.
    remapped = {**environ, "REMAP_SIGTERM": "SIGQUIT"}
    web = (sys.executable, "-m", "web")
    supervisor.start(Part("worker", worker, remapped, worker_answers(queue, name), plan.root))
    supervisor.start(Part("web", web, environ, web_answers(plan.address, plan.port), plan.root))
    supervisor.wait_ready("worker", "web")
