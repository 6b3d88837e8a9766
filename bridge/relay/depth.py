"""How deep JSON is nested, told without parsing it."""

from __future__ import annotations

import re
from typing import Final

#: More brackets than this are too many: looking at them takes longer than parsing them.
MAX_BRACKETS: Final = 10_000
#: A text, closed or not, or a bracket. A text never fails to match, so nothing is scanned twice.
_TEXT_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]|\\.)*\\?(?:"|$)|[\[\]{}]', re.DOTALL)


def is_too_deep(text: str, levels: int) -> bool:
    """Return whether JSON is nested deeper than so many levels, or has far too many brackets."""
    if text.count("[") + text.count("{") <= levels:
        return False
    depth = opened = 0
    for match in _TEXT_OR_BRACKET.finditer(text):
        if match[0] in "[{":
            depth += 1
            opened += 1
            if depth > levels or opened > MAX_BRACKETS:
                return True
        elif match[0] in "]}":
            depth -= 1
    return False
