"""`bridge doctor`: what is wrong with this setup, and the fix."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.resources import files
from typing import Final

import click
from redis.exceptions import RedisError

from bridge.cli.doctor_node import look_at
from bridge.cli.finding import Finding
from bridge.errors import QueueUnavailable, SettingsError
from bridge.journal import RedisJournal, connect, open_journal
from bridge.message_queue.rabbitmq.link import ERRORS, Link
from bridge.settings import MEMORY_IS_APART, SECRET_HINT, Settings, hide_credentials
from bridge.version import VERSION

OLDEST_REDIS: Final = (6, 2)
OLDEST_RABBITMQ: Final = (3, 8)
#: From this gunicorn on there is no eventlet worker.
NO_EVENTLET: Final = (26,)
#: A secret of fewer characters, or of fewer different ones, may be guessed.
STRONG_SECRET_CHARS: Final = 32
DIFFERENT_CHARS: Final = 8
_MODE_PACKAGES: Final = {
    "eventlet": "eventlet",
    "gevent": "gevent",
    "threading": "simple_websocket",
}


@click.command()
@click.option("--url", help="A node, or what stands before the nodes, e.g. https://example.org.")
def doctor(url: str | None) -> None:
    """Look for what is wrong with the settings and the servers, and tell the fix.

    The exit status is 1 if anything is.
    """
    findings = [*examine(), *(look_at(url.rstrip("/")) if url else ())]
    for finding in findings:
        mark = "ok   " if finding.good else "wrong" if finding.needed else "note "
        click.echo(f"{mark} {finding.what}")
        if not finding.good:
            click.echo(f"      fix: {finding.fix}")
    sys.exit(any(not finding.good and finding.needed for finding in findings))


def examine() -> Iterator[Finding]:
    """Look at everything that this process can see."""
    try:
        settings = Settings.load()
    except SettingsError as error:
        yield Finding(False, "settings", str(error))
        return
    yield Finding(True, "settings: all BRIDGE_* variables are known and valid")
    yield from _secret(settings)
    yield from _origins(settings)
    yield _queue(settings)
    if settings.journal_url != settings.message_queue:
        yield _journal(settings)
    yield from _promises(settings)
    if settings.in_redis:
        yield _versions(settings)
    yield _async_mode(settings)
    yield from _servers(settings)
    yield _widget()
    yield from _extras()


def _secret(settings: Settings) -> Iterator[Finding]:
    if settings.public:
        yield Finding(
            False, "PUBLIC: anyone may watch any job", "unset BRIDGE_PUBLIC", needed=False
        )
    if settings.secret_key or not settings.public:
        yield Finding(bool(settings.secret_key), "secret to sign tokens with", SECRET_HINT)
    if any(_is_guessable(key) for key in settings.secret_key):
        fix = "make a longer one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        what = f"secret: shorter than {STRONG_SECRET_CHARS} characters, or of few different ones"
        yield Finding(False, what, fix, needed=False)


def _is_guessable(key: str) -> bool:
    return len(key) < STRONG_SECRET_CHARS or len(set(key)) < DIFFERENT_CHARS


def _origins(settings: Settings) -> Iterator[Finding]:
    if "*" in settings.cors_origins:
        fix = "name the origins that need it, such as https://example.org"
        yield Finding(False, "CORS_ORIGINS: pages of every site may connect", fix, needed=False)


def _queue(settings: Settings) -> Finding:
    if settings.by_memory:
        return Finding(True, "message queue memory://: within one process, for tests")
    if not settings.by_rabbitmq:
        return _server("message queue", settings.message_queue)
    what = f"message queue {hide_credentials(settings.message_queue)}"
    try:
        link = Link(settings.message_queue)
    except ERRORS as error:
        return Finding(False, f"{what}: {error}", "start it, or correct BRIDGE_MESSAGE_QUEUE")
    server = link.server()
    link.close()
    version = str(server.get("version", "unknown"))
    fix = f"RabbitMQ {OLDEST_RABBITMQ[0]}.{OLDEST_RABBITMQ[1]} or newer is needed"
    good = server.get("product") == "RabbitMQ" and _version(version) >= OLDEST_RABBITMQ
    return Finding(good, f"{what}: answers, version {version}", fix)


def _journal(settings: Settings) -> Finding:
    if settings.in_redis:
        return _server("journal", settings.journal_url)
    what = f"journal {settings.journal_url}"
    if settings.is_memory_apart:
        return Finding(False, what, MEMORY_IS_APART, needed=False)
    if settings.in_result_backend:
        what += f" {hide_credentials(settings.result_backend or '')}"
    try:
        journal = open_journal(settings)
        journal.ping()
        journal.close()
    except SettingsError as error:
        return Finding(False, what, str(error))
    except QueueUnavailable as error:
        return Finding(False, f"{what}: {error}", "start it, or correct BRIDGE_RESULT_BACKEND")
    return Finding(True, f"{what}: answers")


def _promises(settings: Settings) -> Iterator[Finding]:
    try:
        journal = open_journal(settings)
    except SettingsError:
        return  # that was told already
    for promise in journal.promises_off:
        fix = "use a Redis journal if you need it"
        yield Finding(False, f"promise off: {promise}", fix, needed=False)
    journal.close()


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


def _server(name: str, url: str) -> Finding:
    what = f"{name} {hide_credentials(url)}"
    client = connect(url)
    try:
        version = str(client.info("server")["redis_version"])
    except (RedisError, OSError) as error:
        return Finding(False, f"{what}: {error}", "start it, or correct BRIDGE_MESSAGE_QUEUE")
    finally:
        client.close()
    fix = f"Redis {OLDEST_REDIS[0]}.{OLDEST_REDIS[1]} or newer is needed, or any Valkey"
    return Finding(_version(version) >= OLDEST_REDIS, f"{what}: answers, version {version}", fix)


def _versions(settings: Settings) -> Finding:
    """Look which versions use the channel: nodes, and workers while they run jobs."""
    client = connect(settings.journal_url)
    try:
        others = sorted({*RedisJournal(client, settings).announce(VERSION)} - {VERSION})
    except QueueUnavailable as error:
        return Finding(False, f"versions on the channel: {error}", "make the journal reachable")
    finally:
        client.close()
    fix = f"run {VERSION} everywhere, or give each version a BRIDGE_CHANNEL of its own"
    what = f"versions on channel {settings.channel}: {', '.join([VERSION, *others])}"
    return Finding(not others, what, fix)


def _servers(settings: Settings) -> Iterator[Finding]:
    """Tell of gunicorn, if it is here, which of its workers fits the async mode."""
    if not _is_installed("gunicorn"):
        return
    number = metadata.version("gunicorn")
    good = settings.async_mode != "eventlet" or _version(number) < NO_EVENTLET
    worker = {"threading": "gthread --threads 100"}.get(settings.async_mode, settings.async_mode)
    fix = "serve by `bridge serve`, or install 'gunicorn<26', or set BRIDGE_ASYNC_MODE=gevent"
    what = (
        f"gunicorn {number}: gunicorn -k {worker} -w 1"
        if good
        else (f"gunicorn {number} has no eventlet worker")
    )
    yield Finding(good, what, fix, needed=False)


def _async_mode(settings: Settings) -> Finding:
    package = _MODE_PACKAGES[settings.async_mode]
    return Finding(
        _is_installed(package),
        f"async mode of the web node: {settings.async_mode}",
        f"install {package.replace('_', '-')}: pip install 'celery-bridge[web]'",
        needed=False,
    )


def _widget() -> Finding:
    built = (files("bridge") / "static" / "task-progress.js").is_file()
    return Finding(built, "the widget is built", "pip install . or, in a checkout, make build")


def _extras() -> Iterator[Finding]:
    for extra, package in (("client", "websocket"), ("demo", "honcho")):
        fix = f"pip install 'celery-bridge[{extra}]', if you want it"
        yield Finding(_is_installed(package), f"extra {extra}", fix, needed=False)


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
