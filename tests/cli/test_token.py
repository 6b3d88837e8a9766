"""`bridge token`."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main
from bridge.errors import Forbidden
from bridge.tokens import Tokens
from tests.nodes import SECRET


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("BRIDGE_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("BRIDGE_SECRET_KEY", SECRET)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["token", *arguments])


def tokens(offset: float = 0) -> Tokens:
    import time

    return Tokens([SECRET], seconds=60, clock=lambda: time.time() + offset)


def test_token_of_a_job() -> None:
    token = run("a-job").output.strip()
    tokens().check(token, "watch", job="a-job")
    with pytest.raises(Forbidden):
        tokens().check(token, "cancel", job="a-job")


def test_token_of_a_user_and_a_root() -> None:
    tokens().check(run("anna", "--user").output.strip(), "watch", user="anna")
    tokens().check(run("r1", "--root").output.strip(), "watch", root="r1")


def test_actions_and_expiry() -> None:
    token = run("j", "--action", "watch", "--action", "cancel", "--expires", "30").output.strip()
    tokens().check(token, "cancel", job="j")
    from bridge.errors import Expired

    with pytest.raises(Expired):
        tokens(31).check(token, "watch", job="j")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["a b"], "job id"),
        (["j", "--expires", "-1"], "expires"),
        (["j", "--action", "x"], "cancel"),
    ],
)
def test_bad_arguments(arguments: list[str], word: str) -> None:
    done = run(*arguments)
    assert done.exit_code != 0
    assert word in done.output


def test_without_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIDGE_SECRET_KEY")
    done = run("j")
    assert done.exit_code == 1
    assert "token_urlsafe" in done.output
