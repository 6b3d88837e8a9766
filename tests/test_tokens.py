from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer

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


def _signed(payload: object) -> str:
    """A token of ours with a payload that we would never sign."""
    return str(URLSafeTimedSerializer([KEY], salt="celery-bridge token v1").dumps(payload))


def test_no_cut_and_no_changed_character_gets_through(tokens: Tokens) -> None:
    token = tokens.issue(jobs="a", actions=["watch", "cancel"])
    for end in range(len(token)):
        with pytest.raises(Forbidden):
            tokens.check(token[:end], "watch", job="a")
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "Q"
        changed = token[:place] + other + token[place + 1 :]
        if place == len(token) - 1:
            continue  # the last character carries bits that base64 ignores
        with pytest.raises(Forbidden):
            tokens.check(changed, "watch", job="a")


def test_payload_and_signature_of_two_tokens_make_none(tokens: Tokens, clock: Clock) -> None:
    mine, foreign = tokens.issue(jobs="mine").split("."), tokens.issue(jobs="foreign").split(".")
    clock.now += 1
    later = tokens.issue(jobs="mine").split(".")
    for mixed in (
        [foreign[0], *mine[1:]],
        [mine[0], foreign[1], later[2]],
        [later[0], mine[1], foreign[2]],
        [*mine, mine[2]],
        [mine[0], mine[2]],
    ):
        with pytest.raises(Forbidden):
            tokens.check(".".join(mixed), "watch", job="foreign")


@pytest.mark.parametrize("salt", ["", "itsdangerous", "cookie-session", "celery-bridge token v2"])
def test_what_the_same_key_signed_for_another_purpose_is_no_token(
    tokens: Tokens, salt: str
) -> None:
    payload = {"s": "job", "i": ["a"], "e": {"watch": 4e9}}
    assert tokens.check(_signed(payload), "watch", job="a"), "this test can fail"
    elsewhere = URLSafeTimedSerializer([KEY], salt=salt).dumps(payload)
    with pytest.raises(Forbidden):
        tokens.check(elsewhere, "watch", job="a")


@pytest.mark.parametrize("digest", [hashlib.sha256, hashlib.md5])
def test_another_digest_is_no_signature(tokens: Tokens, digest: object) -> None:
    weak = URLSafeTimedSerializer(
        [KEY], salt="celery-bridge token v1", signer_kwargs={"digest_method": digest}
    )
    with pytest.raises(Forbidden):
        tokens.check(weak.dumps({"s": "job", "i": ["a"], "e": {"watch": 4e9}}), "watch", job="a")


@limits(deadline=None)
@given(st.text(max_size=300) | st.binary(max_size=300) | st.integers() | st.none())
def test_nothing_that_is_not_ours_does_more_than_be_forbidden(token: object) -> None:
    with pytest.raises(Forbidden):
        Tokens([KEY], seconds=60).check(token, "watch", job="a")


def test_a_replayed_token_is_good_until_its_end_and_for_nothing_else(
    tokens: Tokens, clock: Clock
) -> None:
    token = tokens.issue(jobs="a", expires=10)
    for _ in range(3):
        assert tokens.check(token, "watch", job="a")
    for scope in ({"job": "b"}, {"root": "a"}, {"user": "a"}):
        with pytest.raises(Forbidden):
            tokens.check(token, "watch", **scope)  # type: ignore[arg-type]
    clock.now += 10
    with pytest.raises(Expired):
        tokens.check(token, "watch", job="a")


def test_the_end_of_a_permission_is_told(tokens: Tokens, clock: Clock) -> None:
    claims = tokens.read(tokens.issue(user="anna", actions=["watch", "cancel"]))

    assert tokens.expiry(claims, "watch", user="anna") == clock.now + 86400
    assert tokens.expiry(claims, "cancel", user="anna") == clock.now + 3600
    with pytest.raises(Forbidden):
        tokens.expiry(claims, "watch", user="")
    with pytest.raises(Forbidden):
        tokens.expiry(claims, "watch")


@pytest.mark.parametrize(
    "payload",
    [
        [1], "x", None, {"s": "job"}, {"s": "job", "i": [["a"]], "e": {"watch": 9e9}},
        {"s": "job", "i": ["a"], "e": {"watch": "soon"}}, {"s": "job", "i": ["a"], "e": [1]},
        {"s": ["job"], "i": 7, "e": {}},
    ],
)  # fmt: skip
def test_a_signed_payload_of_another_shape_is_forbidden(tokens: Tokens, payload: object) -> None:
    with pytest.raises(Forbidden):
        tokens.check(_signed(payload), "watch", job="a")
