"""Settings: one frozen record, validated at start; nothing else reads the environment.

A value comes from, in this order: a keyword, the environment (``BRIDGE_*``), the Flask config or
the Celery configuration (the same name, e.g. ``BRIDGE_CHANNEL``), the default.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from bridge.errors import SettingsError

PREFIX = "BRIDGE_"
REDIS_SCHEMES = ("redis", "rediss", "valkey", "valkeys", "unix", "redis+sentinel")
RABBITMQ_SCHEMES = ("amqp", "amqps")
#: Kombu's transport within one process.
MEMORY_SCHEME = "memory"
#: Journals that are not a Redis: in this process, and in Celery's result backend.
MEMORY, RESULT_BACKEND = "memory", "result-backend"
ASYNC_MODES = ("eventlet", "gevent", "threading")
#: How messages reach WebSockets: written straight to them, or by Engine.IO's own writers.
DIRECT = "direct"
SECRET_HINT = (
    "no secret is set, so no token can be signed: make one with "
    "`python -c 'import secrets; print(secrets.token_urlsafe(32))'` and set BRIDGE_SECRET_KEY "
    "to it on every web node and wherever submit() or issue_token() is called"
)
NOT_TEXT = (
    "a key that is bytes must be UTF-8: make one that is text, with "
    "`python -c 'import secrets; print(secrets.token_urlsafe(32))'`"
)
NO_JOURNAL = (
    "RabbitMQ carries messages and remembers nothing: set BRIDGE_JOURNAL to a Redis, such as "
    "redis://127.0.0.1:6379/0, or to result-backend, on workers and web nodes alike"
)
#: How the URLs of result backends begin that only one process can read.
NOT_SHARED = ("rpc", "disabled")
#: Such as keep what they have in the memory of one process.
IN_MEMORY = ("cache+memory://", "cache+memory:///", "db+sqlite://", "db+sqlite:///:memory:")
NOTHING_TO_MIRROR_IN = (
    "the Celery app has no result backend that other processes can read: set result_backend, or "
    "leave BRIDGE_MIRROR off; rpc:// and disabled:// keep nothing"
)
NO_RESULT_BACKEND = (
    "BRIDGE_JOURNAL=result-backend needs one that every process can read: set "
    "BRIDGE_RESULT_BACKEND, such as db+postgresql+psycopg://user@host/name, or result_backend of "
    "your Celery app; rpc:// and disabled:// keep nothing, and memory is read by nobody else"
)
MEMORY_IS_APART = (
    "BRIDGE_JOURNAL=memory: only this process knows the jobs that it runs, though others share its "
    "message queue; use a Redis or result-backend, unless tasks run inside of the web node"
)
APART = (
    "memory:// carries within one process, and this journal is for many: leave BRIDGE_JOURNAL "
    "unset, or use the Redis as BRIDGE_MESSAGE_QUEUE"
)

Parser = Callable[[str, Any], Any]


#: A user name and a password, which may hold any sign if somebody forgot to quote it.
_BEFORE_HOST = re.compile(r"^([a-z][a-z0-9+.-]*:/*(?=[^/].*@))?.*@", re.IGNORECASE | re.DOTALL)
_IN_QUERY = re.compile(
    r"([?&][^=&]*(?:user|pass|pwd|secret|token|kwargs)[^=&]*=)[^&]*", re.IGNORECASE
)


def hide_credentials(url: str) -> str:
    """Return a URL, or what should be one, without user names and passwords: for logs, errors."""
    return _IN_QUERY.sub(r"\1***", _BEFORE_HOST.sub(_only_scheme, url))


def _only_scheme(match: re.Match[str]) -> str:
    scheme = match[1] or ""
    return f"{scheme}***@" if scheme.endswith("//") else "***@"


def _url(*schemes: str, words: tuple[str, ...] = ()) -> Parser:
    others = "".join(f", or {word}" for word in words)

    def parse(name: str, value: Any) -> str:
        text = _text(name, value)
        if text in words:
            return text
        if urlsplit(text).scheme not in schemes:
            raise SettingsError(
                name,
                hide_credentials(text),
                f"a URL is needed that starts with one of {'://, '.join(schemes)}://{others}",
            )
        _check_address(name, text)
        return text

    return parse


def _check_address(name: str, url: str) -> None:
    """Find now what would else fail with the first message."""
    parts = urlsplit(url)
    shown = hide_credentials(url)
    if parts.scheme == "redis+sentinel":
        hosts = parts.netloc.rpartition("@")[2].split(",")
        if not all(re.fullmatch(r".+:\d{1,5}", host) for host in hosts):
            raise SettingsError(name, shown, "each sentinel needs a host and a port, host:26379")
        return
    if parts.scheme == "unix":
        if not parts.path:
            raise SettingsError(name, shown, "the path of the socket is missing, unix:///run/redis")
        return
    if parts.scheme == MEMORY_SCHEME:
        if parts.netloc or parts.path.strip("/"):
            raise SettingsError(name, shown, "it is in this process, so nothing may follow ://")
        return
    try:
        port = parts.port
    except ValueError:
        port = 0
    rabbitmq = parts.scheme in RABBITMQ_SCHEMES
    if not (parts.hostname or rabbitmq) or port == 0:
        raise SettingsError(name, shown, "a host and a port from 1 to 65535 are needed")
    if not rabbitmq and not re.fullmatch(r"(/\d*)?", parts.path):
        raise SettingsError(
            name, shown, "after the host only a database number may come, such as /0"
        )


def _optional_text(name: str, value: Any) -> str | None:
    return None if value in (None, "") else _text(name, value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(name, value, "a text that is not empty is needed")
    return value.strip()


def _channel(name: str, value: Any) -> str:
    text = _text(name, value)
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,100}", text):
        raise SettingsError(name, text, "1 to 100 letters, digits or any of _ . : - are allowed")
    return text


def _namespace(name: str, value: Any) -> str:
    text = _text(name, value)
    if not re.fullmatch(r"/[A-Za-z0-9_.-]{1,100}", text):
        raise SettingsError(name, text, "a / and then letters, digits or any of _ . - are needed")
    return text


def _secrets(name: str, value: Any) -> tuple[str, ...]:
    if value in (None, "", b""):
        return ()
    keys = value.split(",") if isinstance(value, str) else value
    if isinstance(keys, bytes):
        keys = [keys]
    if not isinstance(keys, list | tuple) or not all(isinstance(k, str | bytes) for k in keys):
        raise SettingsError(name, "***", "a text, or a list of texts (the first signs) is needed")
    try:
        cleaned = tuple(k.decode() if isinstance(k, bytes) else k.strip() for k in keys)
    except UnicodeDecodeError:
        raise SettingsError(name, "***", NOT_TEXT) from None
    if any(len(key) < 16 for key in cleaned):
        raise SettingsError(name, "***", "each key needs at least 16 characters")
    return cleaned


def _origins(name: str, value: Any) -> tuple[str, ...]:
    if value in (None, ""):
        return ()
    parts = value.split(",") if isinstance(value, str) else list(value)
    cleaned = tuple(part.strip() for part in parts if part.strip())
    for part in cleaned:
        if part != "*" and not re.fullmatch(r"https?://[^/\s]+", part):
            raise SettingsError(name, part, "origins such as https://example.org, or *, are needed")
    return cleaned


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    if not isinstance(value, str) or value.strip().lower() not in words:
        raise SettingsError(name, value, "true or false is needed")
    return words[value.strip().lower()]


def _choice(*allowed: str) -> Parser:
    def parse(name: str, value: Any) -> str:
        if value not in allowed:
            raise SettingsError(name, value, f"one of {', '.join(allowed)} is needed")
        return str(value)

    return parse


def _number(kind: type[int] | type[float], low: float, high: float, unit: str) -> Parser:
    def parse(name: str, value: Any) -> int | float:
        what = "a whole number" if kind is int else "a number"
        allowed = f"{what} from {low:g} to {high:.10g} ({unit}) is needed"
        if isinstance(value, bool):
            raise SettingsError(name, value, allowed)
        try:
            number = kind(value)
        except (TypeError, ValueError):
            raise SettingsError(name, value, allowed) from None
        exact = kind is float or not isinstance(value, float) or value == number
        if not math.isfinite(number) or not exact or not low <= number <= high:
            raise SettingsError(name, value, allowed)
        return number

    return parse


def _optional(parser: Parser) -> Parser:
    def parse(name: str, value: Any) -> Any:
        return None if value in (None, "") else parser(name, value)

    return parse


def _setting(default: Any, parser: Parser, *, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"parser": parser})


@dataclass(frozen=True, repr=False)
class Settings:
    """All settings of a worker or a web node. `Settings.load` makes one.

    Durations are seconds, sizes bytes, rates states a second and job.
    """

    message_queue: str = _setting(
        "redis://127.0.0.1:6379/0", _url(*REDIS_SCHEMES, *RABBITMQ_SCHEMES, MEMORY_SCHEME)
    )
    journal: str | None = _setting(
        None, _optional(_url(*REDIS_SCHEMES, words=(MEMORY, RESULT_BACKEND)))
    )
    mirror: bool = _setting(False, _flag)
    result_backend: str | None = _setting(None, _optional_text)
    channel: str = _setting("celery-bridge", _channel)
    namespace: str = _setting("/bridge", _namespace)
    secret_key: tuple[str, ...] = _setting((), _secrets, secret=True)
    async_mode: str = _setting("eventlet", _choice(*ASYNC_MODES))
    fanout: str = _setting(DIRECT, _choice(DIRECT, "plain"))
    host: str = _setting("127.0.0.1", _text)
    port: int = _setting(5000, _number(int, 0, 65535, "0 finds a free one"))
    cors_origins: tuple[str, ...] = _setting((), _origins)
    retention: int = _setting(86400, _number(int, 1, 31_536_000, "seconds"))
    events_kept: int = _setting(1000, _number(int, 1, 1_000_000, "events a job"))
    outbox_jobs: int = _setting(10000, _number(int, 1, 10_000_000, "jobs"))
    rate_watched: float = _setting(10.0, _number(float, 0.01, 1000, "states a second"))
    rate_idle: float = _setting(1.0, _number(float, 0.01, 1000, "states a second"))
    lease: float = _setting(15.0, _number(float, 1, 3600, "seconds"))
    lost_final: float = _setting(3600.0, _number(float, 1, 31_536_000, "seconds"))
    flush_timeout: float = _setting(2.0, _number(float, 0, 60, "seconds"))
    max_payload: int = _setting(65536, _number(int, 256, 16_777_216, "bytes"))
    max_watches: int = _setting(200, _number(int, 1, 100_000, "watches a client"))
    max_clients_address: int | None = _setting(
        None, _optional(_number(int, 1, 1_000_000, "connections of an address"))
    )
    max_clients_user: int = _setting(50, _number(int, 1, 1_000_000, "connections of a user"))
    messages_rate: int = _setting(50, _number(int, 1, 100_000, "messages a second and client"))
    max_message: int = _setting(262_144, _number(int, 1024, 16_777_216, "bytes"))
    max_depth: int = _setting(32, _number(int, 4, 500, "levels"))
    quiet_seconds: float = _setting(30.0, _number(float, 0.1, 86_400, "seconds"))
    trusted_proxies: int = _setting(0, _number(int, 0, 10, "proxies"))
    metrics_key: tuple[str, ...] = _setting((), _secrets, secret=True)
    public: bool = _setting(False, _flag)

    @classmethod
    def load(
        cls,
        overrides: Mapping[str, Any] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Settings:
        """Gather and validate the settings of this process.

        Args:
            overrides: keywords by field name (``channel="x"``); they win.
            environ: where ``BRIDGE_*`` variables are read; default: the process's environment.
            config: a Flask config or Celery configuration with ``BRIDGE_*`` names in any case.

        Raises:
            SettingsError: an unknown name or a bad value, named.
        """
        parsers: dict[str, Parser] = {f.name: f.metadata["parser"] for f in fields(cls)}
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for source in (config or {}, environ):
            for variable in source:
                upper = variable.upper() if isinstance(variable, str) else ""
                if not upper.startswith(PREFIX):
                    continue
                name = _known(upper[len(PREFIX) :].lower(), variable, parsers)
                values[name] = parsers[name](upper, source[variable])
        for keyword, value in (overrides or {}).items():
            name = _known(keyword, keyword, parsers)
            values[name] = parsers[name](keyword, value)
        settings = cls(**values)
        if settings.by_rabbitmq and settings.journal is None:
            raise SettingsError("BRIDGE_JOURNAL", None, NO_JOURNAL)
        if settings.by_memory and settings.in_redis:
            raise SettingsError("BRIDGE_JOURNAL", hide_credentials(settings.journal_url), APART)
        return settings

    @property
    def by_rabbitmq(self) -> bool:
        """Whether RabbitMQ is the message queue."""
        return urlsplit(self.message_queue).scheme in RABBITMQ_SCHEMES

    @property
    def by_memory(self) -> bool:
        """Whether messages stay in this process."""
        return urlsplit(self.message_queue).scheme == MEMORY_SCHEME

    @property
    def journal_url(self) -> str:
        """Where jobs are remembered: JOURNAL, else the message queue; a URL or a word."""
        return self.journal or (MEMORY if self.by_memory else self.message_queue)

    @property
    def in_redis(self) -> bool:
        """Whether the journal is a Redis, which publishes what it stores, unless RabbitMQ does."""
        return self.journal_url not in (MEMORY, RESULT_BACKEND)

    @property
    def is_memory_apart(self) -> bool:
        """Whether others share the message queue, and nobody the journal."""
        return self.journal_url == MEMORY and not self.by_memory

    @property
    def in_result_backend(self) -> bool:
        """Whether Celery's result backend is the journal."""
        return self.journal_url == RESULT_BACKEND

    @property
    def mirrors(self) -> bool:
        """Whether states are written into Celery's result backend, too."""
        return self.mirror or self.in_result_backend

    def require_secret(self) -> tuple[str, ...]:
        """Return the signing keys.

        Raises:
            SettingsError: none is set; the message says how to make one.
        """
        if not self.secret_key:
            raise SettingsError("BRIDGE_SECRET_KEY", None, SECRET_HINT)
        return self.secret_key

    def require_result_backend(self) -> str:
        """Return the URL of the result backend.

        Raises:
            SettingsError: there is none that other processes can read.
        """
        url = self.result_backend
        apart = url in IN_MEMORY and not self.by_memory
        if not url or url.startswith(NOT_SHARED) or apart:
            raise SettingsError("BRIDGE_RESULT_BACKEND", url, NO_RESULT_BACKEND)
        return url

    def __repr__(self) -> str:
        shown = []
        for item in fields(self):
            value = getattr(self, item.name)
            if not item.repr:
                value = f"<{len(value)} hidden>"
            elif isinstance(value, str):
                value = hide_credentials(value)
            shown.append(f"{item.name}={value!r}")
        return f"Settings({', '.join(shown)})"


def _known(name: str, given: str, parsers: Mapping[str, Parser]) -> str:
    if name in parsers:
        return name
    known = ", ".join(PREFIX + known.upper() for known in parsers)
    raise SettingsError(given, None, f"unknown setting; the known ones are {known}")
