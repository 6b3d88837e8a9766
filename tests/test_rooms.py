from __future__ import annotations

import pytest

from bridge.errors import InvalidId
from bridge.rooms import (
    check_job_id,
    check_user_id,
    job_room,
    room_channel,
    split_room,
    state_key,
    user_room,
)


@pytest.mark.parametrize("job", ["a", "35f0ee29-9822-4f51-b932-adfdadbc8866", "job:x", "a.b=c@d+e"])
def test_sound_job_ids_pass(job: str) -> None:
    assert check_job_id(job) == job


@pytest.mark.parametrize(
    "job", ["", "a b", "a\0", "a\n", "{a}", "a*", "a/b", "é", "a" * 201, None, 3, b"a", ["a"], True]
)
def test_other_job_ids_are_named_in_the_error(job: object) -> None:
    with pytest.raises(InvalidId, match="can't be a job id") as caught:
        check_job_id(job)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("user", "text"), [(7, "7"), ("a@b.c", "a@b.c"), ("Zoë", "Zoë")])
def test_user_ids_are_text_or_whole_numbers(user: object, text: str) -> None:
    assert check_user_id(user) == text


@pytest.mark.parametrize("user", ["", " ", "a b", "{a}", True, None, 1.5, "x" * 201])
def test_other_user_ids_are_refused(user: object) -> None:
    with pytest.raises(InvalidId):
        check_user_id(user)


def test_keys_and_channels_carry_the_job_in_a_hash_tag() -> None:
    assert room_channel("c", job_room("x:y")) == "c/job:{x:y}"
    assert state_key("c", "x:y") == "c:{x:y}:state"
    assert split_room(user_room("u:1")) == ("user", "u:1")
    assert split_room("lobby") is None
