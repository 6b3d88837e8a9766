from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery, shared_task

from bridge import Progress, current_progress, push_progress
from bridge.errors import DecoratorError, SettingsError
from bridge.sender.lifecycle import is_bridged


@pytest.fixture
def app() -> Iterator[Celery]:
    app = Celery("decorated", broker="memory://", backend="cache+memory://")
    app.set_current()
    yield app
    app.close()


def plain(path: str, *, progress: Progress) -> str:
    return path + str(progress.job)


@pytest.mark.parametrize(
    "decorator", [push_progress, push_progress(), push_progress(unit="B", result=True)]
)
def test_bare_and_with_options(decorator: Callable[..., Any]) -> None:
    assert decorator(plain)("a") == "a"


def test_celery_does_not_see_the_injected_argument(app: Celery) -> None:
    task = app.task(push_progress(plain))
    assert "progress" not in inspect.signature(task.run).parameters
    with pytest.raises(TypeError):
        task.delay()
    with pytest.raises(TypeError):
        task.delay("a", "b")
    assert task("a") == "a"


@pytest.mark.parametrize("bind", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_under_every_kind_of_task_decorator(app: Celery, bind: bool, shared: bool) -> None:
    def bound(self: Any, n: int, progress: Progress) -> int:
        return n + len(list(progress.track(range(n))))

    def free(n: int, progress: Progress) -> int:
        return bound(None, n, progress)

    make = shared_task if shared else app.task
    name = f"t{bind}{shared}"
    task = make(bind=bind, name=name)(push_progress(bound if bind else free))
    assert is_bridged(task)
    assert task.apply([2]).get() == 4
    with pytest.raises(TypeError):
        task.delay()


def test_celery_checks_the_arguments_of_a_function_without_progress(app: Celery) -> None:
    @app.task(shared=False)
    @push_progress
    def quick(x: int = 1) -> int:
        return x

    with pytest.raises(TypeError):
        quick.delay(1, 2)


def test_progress_may_stand_anywhere_among_the_arguments(app: Celery) -> None:
    @app.task(shared=False)
    @push_progress
    def middle(a: int, progress: Progress, b: int = 2) -> list[Any]:
        return [a, b, type(progress).__name__]

    @app.task(shared=False, bind=True)
    @push_progress
    def first(self: Any, progress: Progress, a: int) -> list[Any]:
        return [a, type(progress).__name__]

    assert middle.apply((1, 5)).get() == [1, 5, "Progress"]
    assert middle.apply((1,), {"b": 3}).get() == [1, 3, "Progress"]
    assert first.apply((1,)).get() == [1, "Progress"]
    assert first.apply((), {"a": 1}).get() == [1, "Progress"]


def test_an_explicit_progress_is_left_alone() -> None:
    mine = current_progress()
    assert push_progress(lambda *, progress: progress)(progress=mine) is mine


def test_a_function_without_the_argument_uses_the_current_progress() -> None:
    @push_progress
    def task() -> bool:
        current_progress().update(1)
        return True

    assert task()


def test_a_plain_call_is_seen_by_nobody() -> None:
    @push_progress
    def task(*, progress: Progress) -> str:
        progress.emit("row", 1)
        return progress.job

    assert task() == ""


@pytest.mark.parametrize("bind", [True, False])
def test_above_the_task_decorator_is_a_type_error_that_says_how(app: Celery, bind: bool) -> None:
    for task in (
        app.task(bind=bind, name=f"above{bind}", shared=False)(anything),
        shared_task(bind=bind, name=f"above-shared{bind}")(anything),
    ):
        with pytest.raises(TypeError, match=r"directly above the function, below @app\.task"):
            push_progress(task)


def anything(*_: object) -> int:
    return 1


class SomeClass:
    pass


async def coroutine() -> None:
    pass


def generator() -> Iterator[int]:
    yield 1


def positional(progress: Progress, /) -> None:
    pass


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (SomeClass, "run\\(\\) method"),
        (SomeClass(), "can't decorate"),
        (staticmethod(plain), "can't decorate"),
        (functools.partial(plain), "can't decorate"),
        ("rows", "can't decorate"),
        (coroutine, "async"),
        (generator, "generator"),
        (positional, "positional-only"),
        (push_progress(plain), "twice"),
    ],
)
def test_everything_else_is_a_decorator_error(thing: Any, says: str) -> None:
    with pytest.raises(DecoratorError, match=says):
        push_progress(thing)


@pytest.mark.parametrize(
    "options",
    [{"unit": 3}, {"unit": ""}, {"unit": "x" * 21}, {"result": 1}, {"capture_logs": "no"}],
)
def test_bad_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(DecoratorError, match=next(iter(options))):
        push_progress(**options)


def test_a_bad_variable_is_found_when_the_tasks_are_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BRIDGE_RATE_WACHED", "5")
    with pytest.raises(SettingsError, match="BRIDGE_RATE_WACHED"):
        push_progress(plain)


def test_name_and_doc_stay() -> None:
    decorated = push_progress(plain)
    assert (decorated.__name__, decorated.__module__) == ("plain", plain.__module__)
