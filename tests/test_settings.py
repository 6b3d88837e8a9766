from __future__ import annotations

from contextlib import nullcontext

import pytest

from bridge.errors import SettingsError
from bridge.settings import Settings, hide_credentials


def test_a_keyword_wins_over_the_environment_over_the_config_over_the_default() -> None:
    config = {"BRIDGE_CHANNEL": "config", "BRIDGE_HOST": "config", "BRIDGE_NAMESPACE": "/config"}
    environ = {"BRIDGE_CHANNEL": "environ", "BRIDGE_HOST": "environ"}

    settings = Settings.load({"channel": "keyword"}, environ=environ, config=config)

    assert settings.channel == "keyword"
    assert settings.host == "environ"
    assert settings.namespace == "/config"
    assert settings.port == 5000


def test_celery_hands_its_configuration_in_lower_case() -> None:
    assert Settings.load(environ={}, config={"bridge_channel": "celery"}).channel == "celery"


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("BRIDGE_CHANEL", "x", "unknown setting"),
        ("BRIDGE_MESSAGE_QUEUE", "kafka://h", "redis://"),
        ("BRIDGE_MESSAGE_QUEUE", "127.0.0.1:6379", "redis://"),
        ("BRIDGE_MESSAGE_QUEUE", "", "not empty"),
        ("BRIDGE_MESSAGE_QUEUE", "redis://127.0.0.1:bad/0", "a port from 1 to 65535"),
        ("BRIDGE_MESSAGE_QUEUE", "redis://127.0.0.1:70000", "a port from 1 to 65535"),
        ("BRIDGE_MESSAGE_QUEUE", "redis:///0", "a host"),
        ("BRIDGE_MESSAGE_QUEUE", "redis://host/notadb", "database number"),
        ("BRIDGE_MESSAGE_QUEUE", "unix://", "path of the socket"),
        ("BRIDGE_MESSAGE_QUEUE", "redis+sentinel://one,two/0/x", "each sentinel needs"),
        ("BRIDGE_JOURNAL", "sqlite://x", "redis://"),
        ("BRIDGE_CHANNEL", "a b", "letters, digits"),
        ("BRIDGE_NAMESPACE", "bridge", "a / and then"),
        ("BRIDGE_PORT", "http", "a whole number"),
        ("BRIDGE_PORT", "70000", "65535"),
        ("BRIDGE_PORT", "1.5", "a whole number"),
        ("BRIDGE_LEASE", "nan", "a number"),
        ("BRIDGE_LEASE", "0", "a number"),
        ("BRIDGE_PUBLIC", "perhaps", "true or false"),
        ("BRIDGE_ASYNC_MODE", "asyncio", "eventlet"),
        ("BRIDGE_CORS_ORIGINS", "example.org", "https://"),
        ("BRIDGE_MAX_PAYLOAD", "1", "256"),
        ("BRIDGE_MAX_CLIENTS_ADDRESS", "0", "1000000"),
        ("BRIDGE_MAX_CLIENTS_USER", "many", "a whole number"),
        ("BRIDGE_MESSAGES_RATE", "0.5", "a whole number"),
        ("BRIDGE_MAX_MESSAGE", "10", "1024"),
        ("BRIDGE_MAX_DEPTH", "1000", "500"),
        ("BRIDGE_QUIET_SECONDS", "0", "0.1"),
        ("BRIDGE_TRUSTED_PROXIES", "-1", "10"),
    ],
)
def test_a_bad_setting_is_named_with_its_value_and_what_is_allowed(
    variable: str, value: str, says: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ={variable: value})

    assert variable in str(caught.value)
    assert says in str(caught.value)


def test_a_short_secret_is_refused_without_showing_it() -> None:
    with pytest.raises(SettingsError, match="16 characters") as caught:
        Settings.load(environ={"BRIDGE_SECRET_KEY": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_a_missing_secret_says_how_to_make_one() -> None:
    with pytest.raises(SettingsError, match="token_urlsafe"):
        Settings.load(environ={}).require_secret()


def test_a_list_of_secrets_rotates() -> None:
    settings = Settings.load({"secret_key": ["b" * 16, "a" * 16]}, environ={})
    assert settings.require_secret() == ("b" * 16, "a" * 16)


def test_neither_repr_nor_errors_show_credentials() -> None:
    settings = Settings.load(
        {"message_queue": "redis://:pa55@host:1/0", "secret_key": "s3cr3t" * 4}, environ={}
    )
    assert "pa55" not in repr(settings)
    assert "s3cr3t" not in repr(settings)
    with pytest.raises(SettingsError) as caught:
        Settings.load({"message_queue": "kafka://u:pa55@host"}, environ={})
    assert "pa55" not in str(caught.value)
    assert hide_credentials("redis://:pa55@host") == "redis://***@host"


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:pa55@pa55@host/0", "redis://:pa55/pa55@host/0", "redis://:pa55#pa55@host",
        "user:pa55@host:6379", "redis:/user:pa55@host", "redis://host/0?password=pa55&db=1",
        "redis://host/abc?Password=pa55", "rediss://host?ssl_password=pa55",
        "redis+sentinel://:pa55@a:1,b:2/m?sentinel_kwargs={'password':'pa55'}",
    ],
)  # fmt: skip
def test_passwords_are_hidden_wherever_they_stand_and_however_badly_quoted(url: str) -> None:
    try:
        shown = repr(Settings.load({"message_queue": url}, environ={}))
    except SettingsError as error:
        shown = f"{error} {error.value}"
    assert "pa55" not in shown
    assert "pa55" not in hide_credentials(url)


def test_what_is_no_credential_is_shown() -> None:
    for url in ("redis://h:6379/0", "unix:///run/r.sock", "rediss://h?ssl_ca_certs=/ca.pem&db=1"):
        assert hide_credentials(url) == url


def test_a_key_of_random_bytes_is_named_but_not_shown() -> None:
    with pytest.raises(SettingsError, match=r"BRIDGE_SECRET_KEY.*UTF-8") as caught:
        Settings.load(config={"BRIDGE_SECRET_KEY": b"\xff" * 24}, environ={})
    assert "xff" not in str(caught.value)


def test_the_journal_is_the_message_queue_unless_it_is_named() -> None:
    assert Settings.load({"message_queue": "redis://a"}, environ={}).journal_url == "redis://a"
    named = Settings.load({"message_queue": "redis://a", "journal": "redis://b"}, environ={})
    assert named.journal_url == "redis://b"


@pytest.mark.parametrize(
    "url",
    [
        "redis://h", "redis://h/", "redis://:p%40@h:1/2?x=1", "rediss://u:p@h:1/0", "valkey://h",
        "unix:///run/redis.sock?db=1", "redis+sentinel://:p@a:1,b:2/0/service", "redis://[::1]:1/0",
    ],
)  # fmt: skip
def test_every_kind_of_queue_url_passes(url: str) -> None:
    assert Settings.load({"message_queue": url}, environ={}).message_queue == url


def test_variables_of_others_are_left_alone() -> None:
    assert Settings.load(environ={"HOME": "/", "CELERY_BROKER_URL": "x"}) == Settings()


def test_no_number_of_clients_is_a_choice_too() -> None:
    assert Settings.load(environ={"BRIDGE_MAX_CLIENTS_ADDRESS": ""}).max_clients_address is None
    assert Settings.load(environ={"BRIDGE_MAX_CLIENTS_ADDRESS": "7"}).max_clients_address == 7


@pytest.mark.parametrize("url", ["amqp://", "amqps://u:p@host:5671/vhost?ssl_ca_certs=/ca.pem"])
def test_rabbitmq_needs_a_journal(url: str) -> None:
    with pytest.raises(SettingsError, match=r"BRIDGE_JOURNAL.*redis://"):
        Settings.load({"message_queue": url}, environ={})
    with pytest.raises(SettingsError, match="BRIDGE_JOURNAL"):
        Settings.load({"message_queue": url}, environ={"BRIDGE_JOURNAL": url})

    settings = Settings.load({"message_queue": url, "journal": "redis://host"}, environ={})

    assert settings.by_rabbitmq
    assert settings.journal_url == "redis://host"


def test_memory_is_its_own_journal_and_takes_no_other_process_with_it() -> None:
    alone = Settings.load({"message_queue": "memory://"}, environ={})
    assert (alone.journal_url, alone.in_redis, alone.is_memory_apart) == ("memory", False, False)
    with pytest.raises(SettingsError, match=r"BRIDGE_JOURNAL.*memory://.*unset"):
        Settings.load({"message_queue": "memory://", "journal": "redis://:pa55@h"}, environ={})
    with pytest.raises(SettingsError, match=r"memory://host.*nothing may follow"):
        Settings.load({"message_queue": "memory://host"}, environ={})
    apart = Settings.load({"message_queue": "redis://h", "journal": "memory"}, environ={})
    assert apart.is_memory_apart, "allowed, and warned of"


@pytest.mark.parametrize("queue", ["amqp://h", "redis://h", "memory://"])
def test_the_result_backend_can_be_the_journal_of_any_queue(queue: str) -> None:
    given = {"message_queue": queue, "journal": "result-backend"}
    settings = Settings.load(given, environ={})
    assert (settings.in_result_backend, settings.mirrors, settings.in_redis) == (True, True, False)
    for url in (None, "rpc://", "disabled://"):
        wrong = Settings.load({**given, "result_backend": url}, environ={})
        with pytest.raises(SettingsError, match=r"BRIDGE_RESULT_BACKEND.*set"):
            wrong.require_result_backend()
    for url in ("cache+memory://", "db+sqlite:///:memory:"):
        inside = Settings.load({**given, "result_backend": url}, environ={})
        with nullcontext() if inside.by_memory else pytest.raises(SettingsError, match=r"memory"):
            inside.require_result_backend()
    named = Settings.load({**given, "result_backend": "db+sqlite:///x"}, environ={})
    assert named.require_result_backend() == "db+sqlite:///x"


def test_a_journal_that_is_none_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(SettingsError, match=r"BRIDGE_JOURNAL='kafka://h'.*memory, or result-back"):
        Settings.load(environ={"BRIDGE_JOURNAL": "kafka://h"})


def test_the_mirror_can_be_switched_on_beside_any_journal() -> None:
    assert Settings.load(environ={"BRIDGE_MIRROR": "true"}).mirrors
    assert not Settings.load(environ={}).mirrors
