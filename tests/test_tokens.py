from __future__ import annotations

import pytest

from bridge.errors import Expired, Forbidden, InvalidId
from bridge.tokens import Tokens

KEY = "k" * 16


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return Tokens([KEY], seconds=86400, clock=clock)


def test_a_token_allows_its_job_and_its_action_only(tokens: Tokens) -> None:
    token = tokens.issue(jobs="a")

    assert tokens.check(token, "watch", job="a").ids == {"a"}
    for action, scope in [
        ("watch", {"job": "b"}),
        ("cancel", {"job": "a"}),
        ("watch", {"user": "a"}),
    ]:
        with pytest.raises(Forbidden):
            tokens.check(token, action, **scope)  # type: ignore[arg-type]


def test_a_token_may_name_several_jobs_a_root_or_a_user(tokens: Tokens) -> None:
    several = tokens.issue(jobs=["a", "b"], actions=["watch", "cancel"])
    assert tokens.check(several, "cancel", job="b")
    assert tokens.check(tokens.issue(root="r"), "watch", root="r")
    assert tokens.check(tokens.issue(user=7), "watch", user="7")


def test_permission_to_cancel_ends_sooner_than_to_watch(tokens: Tokens, clock: Clock) -> None:
    token = tokens.issue(jobs="a", actions=["watch", "cancel"])

    clock.now += 3601

    assert tokens.check(token, "watch", job="a")
    with pytest.raises(Expired):
        tokens.check(token, "cancel", job="a")
    clock.now += 86400
    with pytest.raises(Expired):
        tokens.check(token, "watch", job="a")


@pytest.mark.parametrize(
    "token", [None, "", "x", 3, ["a"], "a.b.c", "é", "a" * 9000, b"x", "\ud800"]
)
def test_no_token_and_no_real_token_are_forbidden(tokens: Tokens, token: object) -> None:
    with pytest.raises(Forbidden):
        tokens.check(token, "watch", job="a")


def test_a_changed_or_rekeyed_token_is_forbidden(tokens: Tokens, clock: Clock) -> None:
    token = tokens.issue(jobs="a")
    for changed in (token[:-1], token[1:], token.replace(".", "", 1), token + "x"):
        with pytest.raises(Forbidden):
            tokens.check(changed, "watch", job="a")
    with pytest.raises(Forbidden):
        Tokens(["z" * 16], seconds=1, clock=clock).check(token, "watch", job="a")


def test_keys_rotate_the_first_signs_and_all_verify(clock: Clock) -> None:
    old = Tokens([KEY], seconds=60, clock=clock).issue(jobs="a")
    both = Tokens(["n" * 16, KEY], seconds=60, clock=clock)
    new = both.issue(jobs="a")

    assert both.check(old, "watch", job="a")
    assert Tokens(["n" * 16], seconds=60, clock=clock).check(new, "watch", job="a")
    with pytest.raises(Forbidden):
        Tokens([KEY], seconds=60, clock=clock).check(new, "watch", job="a")


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"jobs": "a", "root": "b"},
        {"jobs": []},
        {"jobs": "a", "actions": []},
        {"jobs": "a", "actions": ["delete"]},
        {"jobs": "a", "actions": "watch"},
        {"jobs": "a", "expires": 0},
        {"jobs": "a", "expires": -1},
        {"jobs": "a", "expires": float("nan")},
    ],
)
def test_a_malformed_request_for_a_token_is_a_value_error(
    tokens: Tokens, arguments: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match="needed"):
        tokens.issue(**arguments)  # type: ignore[arg-type]


def test_a_malformed_id_never_gets_a_token(tokens: Tokens) -> None:
    with pytest.raises(InvalidId):
        tokens.issue(jobs="a b")
