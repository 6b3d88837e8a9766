from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from bridge.errors import JobCancelled, PayloadError, PayloadTooLarge, ReservedName, StageError
from bridge.records import FAILURE, PROGRESS, RETRY, STARTED, SUCCESS
from bridge.sender.progress import Progress, current_progress, enter, leave
from bridge.sender.run import Run


@pytest.fixture
def sent() -> list[tuple[str, Any]]:
    return []


@pytest.fixture
def progress(sent: list[tuple[str, Any]]) -> Progress:
    return Progress(
        Run(job="j", task="t"),
        unit="rows",
        limit=1000,
        send_event=lambda name, text: sent.append((name, json.loads(text))),
    )


def deep(levels: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(levels):
        nested = [nested]
    return nested


def figures(progress: Progress) -> tuple[Any, Any, Any]:
    record = progress.record(0.0)
    return record["current"], record["total"], record["unit"]


def test_track_takes_the_length_where_there_is_one(progress: Progress) -> None:
    assert list(progress.track(["a", "b"], description="Reading")) == ["a", "b"]
    assert figures(progress) == (2, 2, "rows")
    assert progress.message == "Reading"


def test_a_generator_is_indeterminate_unless_a_total_is_given(progress: Progress) -> None:
    for _ in progress.track(iter("abc")):
        assert progress.record(0.0)["total"] is None
    assert figures(progress) == (3, None, "rows")
    list(progress.track(iter("abc"), total=3))
    assert figures(progress) == (3, 3, "rows")


def test_an_item_counts_when_the_next_is_asked_for(progress: Progress) -> None:
    for item in progress.track([0, 1, 2, 3]):
        assert progress.current == item
        if item == 2:
            break
    assert progress.current == 2
    for _ in progress.track("ab"):
        break
    assert progress.current == 0


def test_update_sets_what_is_given_and_leaves_the_rest(progress: Progress) -> None:
    progress.update(3, total=10)
    progress.update(message="now")
    progress.advance()
    progress.advance(0.5)
    assert figures(progress) == (4.5, 10, "rows")
    assert progress.message == "now"


@pytest.mark.parametrize("value", ["1", None, [], True, object()])
def test_a_figure_that_is_no_number_is_a_type_error(progress: Progress, value: Any) -> None:
    if value is not None:
        with pytest.raises(TypeError, match="a number is needed"):
            progress.update(current=value)
    with pytest.raises(TypeError, match="a number is needed"):
        progress.advance(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_figure_that_is_not_finite_is_a_value_error(progress: Progress, value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        progress.update(current=value)
    with pytest.raises(ValueError, match="finite"):
        progress.update(total=value)


@pytest.mark.parametrize("value", [10**400, 2**53 + 1, -(2**60), 1e308])
def test_a_figure_that_a_browser_cannot_count_is_a_value_error(
    progress: Progress, value: float
) -> None:
    for call in (
        lambda: progress.update(current=value),
        lambda: progress.update(total=value),
        lambda: progress.advance(value),
        lambda: progress.track([], total=value),
    ):
        with pytest.raises(ValueError, match="at most 2"):
            call()
    assert figures(progress) == (None, None, "rows")


def test_nothing_infinite_is_ever_told(progress: Progress) -> None:
    progress.update(0, total=2**53)
    progress.record(0.0)
    progress.update(5e-324)
    record = progress.record(1e9)
    assert record["eta"] is None or record["eta"] < 1e300
    json.dumps(record, allow_nan=False)


def test_other_kinds_of_numbers_are_converted(progress: Progress) -> None:
    progress.update(current=Decimal("1.5"), total=4)  # type: ignore[arg-type]
    assert figures(progress)[0] == 1.5


def test_a_long_message_is_cut_and_anything_is_text(progress: Progress) -> None:
    progress.update(message="x" * 1000)
    assert progress.message is not None
    assert len(progress.message) == 500
    progress.message = 7  # type: ignore[assignment]
    assert progress.message == "7"


def test_stages_alone_add_up_by_weight_to_per_cent(progress: Progress) -> None:
    with progress.stage("One", weight=0.25) as one:
        list(one.track("ab"))
    assert figures(progress) == (25.0, 100, "%")
    with progress.stage("Two") as two:
        two.update(1, total=3)
        assert figures(progress) == (50.0, 100, "%")
    assert figures(progress) == (100.0, 100, "%")
    assert progress.record(0.0)["stages"] == [
        {"name": "One", "current": 2, "total": 2, "weight": 0.25, "state": SUCCESS},
        {"name": "Two", "current": 1, "total": 3, "weight": 0.75, "state": SUCCESS},
    ]


def test_a_total_of_the_whole_keeps_the_unit_of_the_whole(progress: Progress) -> None:
    progress.update(total=1000)
    with progress.stage("One", weight=0.1):
        pass
    with progress.stage("Two") as two:
        two.update(1, total=2)
        assert figures(progress) == (550, 1000, "rows")


def test_a_stage_after_counted_work_never_takes_the_count_back(progress: Progress) -> None:
    list(progress.track(range(700)))
    with progress.stage("Indexing", weight=0.3) as stage:
        assert figures(progress) == (700, 1000, "rows")
        stage.update(1, total=2)
        assert figures(progress) == (850, 1000, "rows")
    assert figures(progress) == (1000, 1000, "rows")


def test_stages_nest_by_weight(progress: Progress) -> None:
    with progress.stage("Outer", weight=0.5) as outer, outer.stage("Inner", weight=0.5) as inner:
        inner.update(1, total=2)
        assert figures(progress) == (12.5, 100, "%")
        assert progress.record(0.0)["stage"] == "Inner"
    assert figures(progress) == (50.0, 100, "%")


def test_a_stage_that_fails_is_marked_and_keeps_what_was_done(progress: Progress) -> None:
    one = progress.stage("One")
    one.update(1, total=4)
    with pytest.raises(KeyError), one:
        raise KeyError
    assert progress.record(0.0)["stages"][0]["state"] == FAILURE
    assert figures(progress) == (25.0, 100, "%")


@pytest.mark.parametrize("weight", [0, -1, 1.1, "0.5", True, float("nan")])
def test_a_bad_weight_is_a_stage_error(progress: Progress, weight: Any) -> None:
    with pytest.raises(StageError, match="weight="):
        progress.stage("x", weight=weight)


def test_weights_that_add_up_to_more_than_one_are_refused(progress: Progress) -> None:
    progress.stage("One", weight=0.7)
    with pytest.raises(StageError, match=r"took 0\.7 of 1"):
        progress.stage("Two", weight=0.4)


def test_many_stages_are_bounded_and_still_count(progress: Progress) -> None:
    for number in range(400):
        with progress.stage(f"s{number}", weight=0.0025):
            pass
    assert len(progress.record(0.0)["stages"]) == 100
    assert figures(progress) == (100.0, 100, "%")


def test_events_are_checked_at_the_call(progress: Progress, sent: list[tuple[str, Any]]) -> None:
    progress.emit("row", {"line": 7})
    with pytest.raises(ReservedName):
        progress.emit("progress", {})
    with pytest.raises(PayloadError):
        progress.emit("row", {"at": object()})
    with pytest.raises(PayloadTooLarge):
        progress.emit("row", "x" * 1000)
    with pytest.raises(PayloadError, match="deep"):
        progress.emit("row", deep(100))
    with pytest.raises(ReservedName):
        progress.emit("\ud800x", {})
    assert sent == [("row", {"line": 7})]


def test_a_log_line_has_level_logger_and_text(
    progress: Progress, sent: list[tuple[str, Any]]
) -> None:
    progress.log("hello")
    assert sent == [("log", {"level": "INFO", "logger": "t", "text": "hello"})]
    with pytest.raises(ValueError, match="LOUD"):
        progress.log("x", level="LOUD")


def test_meta_is_a_small_dict_that_is_checked_and_copied(progress: Progress) -> None:
    rows = [1]
    progress.meta["rows"] = rows
    rows.append(2)
    assert progress.record(0.0)["meta"] == {"rows": [1]}
    progress.meta = {"file": "a.csv"}
    assert dict(progress.meta) == {"file": "a.csv"}
    with pytest.raises(PayloadError):
        progress.meta["x"] = object()
    with pytest.raises(PayloadTooLarge):
        progress.meta["x"] = "x" * 5000
    assert dict(progress.meta) == {"file": "a.csv"}
    del progress.meta["file"]
    assert progress.record(0.0)["meta"] == {}


def test_the_state_is_started_until_something_is_told(progress: Progress) -> None:
    assert progress.record(0.0)["state"] == STARTED
    progress.update(message="x")
    assert progress.record(0.0)["state"] == PROGRESS


def test_the_first_to_decide_the_end_wins(progress: Progress) -> None:
    assert progress.finish(RETRY, error=ValueError("no"), next_at=5.0)
    assert not progress.finish(SUCCESS)
    record = progress.record(0.0)
    assert (record["state"], record["next_at"]) == (RETRY, 5.0)
    assert record["error"] == {"type": "ValueError", "message": "no"}
    assert record["ended_at"]


def test_the_result_travels_only_if_the_task_opted_in(progress: Progress) -> None:
    progress.finish(SUCCESS, result={"a": 1})
    assert progress.record(0.0)["result"] is None


@pytest.mark.parametrize(
    ("result", "sent_as"),
    [
        ({"a": 1}, {"a": 1}),
        (None, None),
        (object(), {"bridge:omitted": "not JSON"}),
        ("x" * 1000, {"bridge:omitted": "too large"}),
    ],
)
def test_a_result_that_cannot_travel_is_marked(result: Any, sent_as: Any) -> None:
    progress = Progress(Run(job="j"), keep_result=True, limit=100)
    progress.finish(SUCCESS, result=result)
    assert progress.record(0.0)["result"] == sent_as


def test_an_error_whose_text_cannot_be_made_is_still_told(progress: Progress) -> None:
    class Nasty(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    progress.finish(FAILURE, error=Nasty())
    assert progress.record(0.0)["error"]["type"] == "Nasty"


def test_the_next_step_of_a_cancelled_job_raises(progress: Progress) -> None:
    steps = iter(progress.track(range(3)))
    next(steps)
    assert not progress.cancelled
    progress.cancel_requested = True
    assert progress.cancelled
    for step in (
        lambda: next(steps),
        lambda: progress.update(1),
        lambda: progress.advance(),
        lambda: progress.stage("x"),
    ):
        with pytest.raises(JobCancelled):
            step()
    assert not issubclass(JobCancelled, Exception)


def test_outside_a_task_there_is_a_progress_that_nobody_sees() -> None:
    nobody = current_progress()
    assert list(nobody.track("ab")) == ["a", "b"]
    nobody.emit("row", 1)
    with nobody.stage("x"):
        nobody.log("hello")
    assert nobody.job == ""


def test_the_open_progress_is_the_current_one(progress: Progress) -> None:
    token = enter(progress)
    assert current_progress() is progress
    leave(token)
    assert current_progress() is not progress


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_a_loop_is_counted_exactly_however_it_ends(kind: Any) -> None:
    """Lists and the like are counted in C, whatever else in Python: one rule for both."""

    def loop(end: Any) -> tuple[Progress, list[Any]]:
        progress, seen = Progress(Run(job="job")), []
        with suppress(ZeroDivisionError):
            for item in progress.track(kind(range(5)), total=5):
                seen.append((item, progress.current))
                if item == 3 and end == "break":
                    break
                if item == 3 and end == "raise":
                    raise ZeroDivisionError
        return progress, seen

    progress, seen = loop("whole")
    assert seen == [(n, n) for n in range(5)]
    assert progress.current == 5
    for end in ("break", "raise"):
        progress, seen = loop(end)
        assert len(seen) == 4
        assert progress.current == 3
    progress.update(50)
    assert progress.current == 50
    assert list(progress.track(kind([]))) == []
    assert progress.current == 0


@pytest.mark.parametrize("kind", [list, iter])
def test_update_within_a_loop_stands_until_the_next_step(kind: Any) -> None:
    progress = Progress(Run(job="job"))
    seen = []
    for item in progress.track(kind("abc")):
        seen.append(progress.current)
        if item == "b":
            progress.update(40)
            progress.advance(2)
            seen.append(progress.current)
    assert seen == [0, 1, 42, 2]
    assert progress.current == 3


@pytest.mark.parametrize("kind", [list, iter])
def test_a_cancel_stops_each_loop_at_its_next_step(kind: Any) -> None:
    progress = Progress(Run(job="job"))
    stage = progress.stage("part")
    seen = []

    def loop() -> None:
        for outer in progress.track(kind(range(9))):
            for inner in stage.track(kind(range(9))):
                seen.append((outer, inner))
                progress.cancel_requested = inner == 2

    with pytest.raises(JobCancelled):
        loop()

    assert seen == [(0, 0), (0, 1), (0, 2)]
    assert (stage.current, progress.current) == (3, 0)


def test_what_can_fail_is_not_counted_one_too_low() -> None:
    def failing() -> Iterator[int]:
        yield from range(3)
        raise ZeroDivisionError

    progress = Progress(Run(job="job"))
    with pytest.raises(ZeroDivisionError):
        list(progress.track(failing()))
    assert progress.current == 3
