"""What jobs were started with, in words: this browser's cookie keeps those of its latest ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import session

from web.catalog import JobKind

#: So many and so long ones fit into a cookie, in any alphabet.
KEPT = 6
MOST_CHARS = 80
NAMED = 3
KEY = "subjects"


def subject_of(kind: JobKind, values: Mapping[str, Any], titles: Sequence[str]) -> str:
    """Tell people who start several jobs which one this is.

    Args:
        kind: the kind of job.
        values: its fields.
        titles: its files' names.
    """
    if titles:
        return ", ".join(titles) if len(titles) <= NAMED else f"{len(titles)} files"
    told = {name: f"{v:g}" if isinstance(v, float) else str(v) for name, v in values.items()}
    return ", ".join(f"{field.label}: {told[field.name]}" for field in kind.fields)


def keep(job: str, subject: str) -> None:
    """Keep it for the pages to come; the oldest are forgotten."""
    # Pairs: a cookie's object would come back in the order of the alphabet.
    session[KEY] = [*kept().items(), (job, subject[:MOST_CHARS])][-KEPT:]


def kept() -> dict[str, str]:
    """Return what is known, by the jobs' ids."""
    return dict(session.get(KEY, ()))
