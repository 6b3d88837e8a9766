import time
from collections.abc import Callable
from typing import Any

import pytest

from bridge import Progress
from workers.metronome import metronome

Plain = Callable[[Any], Callable[..., Any]]


def test_it_keeps_its_pace(plain: Plain, progress: Progress, events: list[Any]) -> None:
    begin = time.monotonic()
    result = plain(metronome)(20, 0.01, progress=progress)
    assert time.monotonic() - begin >= 0.2
    assert result["steps"] == 20
    assert [data["step"] for _, data in events] == list(range(2, 21, 2))
    assert progress.record(0)["current"] == 20


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"steps": 0}, "steps=0"),
        ({"steps": 2.5}, "steps=2.5"),
        ({"steps": "9"}, "steps='9'"),
        ({"steps": True}, "steps=True"),
        ({"steps": 100_001}, "steps=100001"),
        ({"interval": -1}, "interval=-1"),
        ({"interval": float("nan")}, "interval=nan"),
        ({"interval": None}, "interval=None"),
        ({"steps": 100_000, "interval": 60}, r"steps \* interval=6000000"),
    ],
)
def test_bad_arguments_are_named(
    plain: Plain, progress: Progress, arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        plain(metronome)(**arguments, progress=progress)
