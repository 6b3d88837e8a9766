"""How deep JSON is nested: as a parser would say, and as quick for what an attacker makes."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from bridge.relay.depth import MAX_BRACKETS, is_too_deep

TEXTS = st.text(alphabet='[]{}"\\ a\n', max_size=8)
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=30,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@limits(deadline=None)
@given(VALUES, st.integers(min_value=0, max_value=6))
def test_it_says_what_a_parser_would(value: Any, levels: int) -> None:
    assert is_too_deep(json.dumps(value), levels) is (depth(value) > levels)


@limits(deadline=None)
@given(st.text(alphabet='[]{}"\\,:a', max_size=200))
def test_no_text_makes_it_fail(text: str) -> None:
    is_too_deep(text, 3)


def test_deep_and_many() -> None:
    assert is_too_deep("[" * 100_000, 32)
    assert is_too_deep("[" + "[]," * (MAX_BRACKETS + 1), 32)
    assert not is_too_deep("[" + "[]," * 100, 32)
    assert not is_too_deep('"' + "[" * 1000 + '"', 32)


@pytest.mark.parametrize(
    "text",
    ['"' + '\\"' * 100_000 + "\\", '"\\' * 100_000, "[]" * 100_000, '[""' * 60_000, '"[' * 100_000],
)
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    is_too_deep("[" * 33 + "]" * 33 + text, 500)
    assert time.process_time() - began < 0.5
