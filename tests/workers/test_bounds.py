import math

import pytest

from workers.bounds import number_within, one_of, whole_number_within


@pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, 11, 10**400, [], math.nan])
def test_what_is_no_whole_number_in_the_bounds_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"x=.*a whole number from 0 to 10 is needed"):
        whole_number_within("x", value, 0, 10)


@pytest.mark.parametrize("value", [True, "1", None, -0.1, 10.1, math.nan, math.inf, 10**400])
def test_what_is_no_number_in_the_bounds_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"x=.*a number from 0 to 10 is needed"):
        number_within("x", value, 0, 10)


def test_what_is_within_passes() -> None:
    for number in (0, 5, 10):
        whole_number_within("x", number, 0, 10)
        number_within("x", number / 2, 0, 10)
    one_of("x", "a", ("a", "b"))


def test_another_text_is_refused() -> None:
    with pytest.raises(ValueError, match="x='c': one of a, b is needed"):
        one_of("x", "c", ("a", "b"))
    with pytest.raises(ValueError, match="one of a, b"):
        one_of("x", ["a"], ("a", "b"))
