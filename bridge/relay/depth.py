"""How deep JSON is nested, told without parsing it."""

from __future__ import annotations

import re
from typing import Final

#: More brackets than this, those in texts too, are too many: looking at each would take too long.
MAX_BRACKETS: Final = 10_000
#: A text, closed or not, or a bracket. A text never fails to match, so nothing is scanned twice.
_TEXT_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]|\\.)*\\?(?:"|$)|[\[\]{}]', re.DOTALL)


def is_too_deep(text: str, levels: int) -> bool:
    """Return whether JSON is nested deeper than so many levels, or has far too many brackets."""
    brackets = text.count("[") + text.count("{")
    if brackets <= levels or brackets > MAX_BRACKETS:
        return brackets > levels
    depth = 0
    for match in _TEXT_OR_BRACKET.finditer(text):
        if match[0] in "[{":
            depth += 1
            if depth > levels:
                return True
        elif match[0] in "]}":
            depth -= 1
    return False
