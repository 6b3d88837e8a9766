"""`push_progress`: one line above a function makes its Celery task a job that can be watched."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar, overload

from celery import current_task, signals
from celery.exceptions import Ignore
from celery.local import Proxy

import bridge.sender.followers  # noqa: F401 - hears Celery's signals
from bridge.errors import DecoratorError, JobCancelled
from bridge.records import REVOKED
from bridge.sender.events import events_of
from bridge.sender.lifecycle import MARK, OPEN, is_bridged, is_job
from bridge.sender.logs import capture
from bridge.sender.pen import Pen, stores_results
from bridge.sender.process import outbox_of, settings_of
from bridge.sender.progress import Progress, current_progress, enter, leave, open_progress
from bridge.sender.run import Run
from bridge.settings import Settings

_log = logging.getLogger("bridge.sender")

P = ParamSpec("P")
R = TypeVar("R")

ARGUMENT: Final = "progress"
#: How long a task's start waits to hear whether the job was cancelled while it was queued.
CANCELLED_WAIT_SECONDS: Final = 0.2

_HOW: Final = "write it directly above the function, below @app.task or @shared_task:\n" + (
    "    @app.task\n    @push_progress\n    def import_rows(path, *, progress): ..."
)


@dataclass(frozen=True, slots=True)
class Options:
    """What a task chose; the function's wrapper carries it as its mark."""

    unit: str | None = None
    result: bool = False
    capture_logs: bool = False


@overload
def push_progress(function: Callable[P, R], /) -> Callable[..., R]: ...
@overload
def push_progress(
    *, unit: str | None = None, result: bool = False, capture_logs: bool = False
) -> Callable[[Callable[P, R]], Callable[..., R]]: ...
def push_progress(
    function: Callable[..., Any] | None = None,
    /,
    *,
    unit: str | None = None,
    result: bool = False,
    capture_logs: bool = False,
) -> Any:
    """Make the Celery task of a function push its progress, events and outcome.

    It goes below ``@app.task`` or ``@shared_task``, with or without ``bind=True``. If the function
    has a parameter ``progress`` it gets its `Progress` there, and Celery doesn't see the parameter;
    else `current_progress` gives it.

    Args:
        function: the function, when used bare.
        unit: what is counted, e.g. ``"rows"``; ``"B"`` for bytes.
        result: send the task's result with SUCCESS. Off, because results may be private.
        capture_logs: send what the task logs through `logging` while it runs, from INFO up, as
            ``log`` events.

    Raises:
        DecoratorError: on anything but a plain function, with the right order in the message.
        SettingsError: a ``BRIDGE_*`` variable is unknown or has a bad value.
    """
    if unit is not None and (not isinstance(unit, str) or not unit or len(unit) > 20):
        raise DecoratorError(
            f"push_progress(unit={unit!r}): a text of 1 to 20 characters is needed"
        )
    for name, value in (("result", result), ("capture_logs", capture_logs)):
        if not isinstance(value, bool):
            raise DecoratorError(f"push_progress({name}={value!r}): True or False is needed")
    Settings.load()
    options = Options(unit, result, capture_logs)
    if function is None:
        return lambda decorated: _decorate(decorated, options)
    return _decorate(function, options)


def _decorate(function: Any, options: Options) -> Callable[..., Any]:
    _check(function)
    signature = inspect.signature(function)
    position = _position(signature)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _Execution(options) as progress:
            if position is not None and ARGUMENT not in kwargs:
                if len(args) > position:
                    args = (*args[:position], progress, *args[position:])
                else:
                    kwargs[ARGUMENT] = progress
            progress.returned = returned = function(*args, **kwargs)
            return returned

    setattr(wrapper, MARK, options)
    # Celery checks a call's arguments against this signature before it sends the task.
    visible = [p for name, p in signature.parameters.items() if name != ARGUMENT]
    wrapper.__signature__ = signature.replace(parameters=visible)  # type: ignore[attr-defined]
    return wrapper


def _position(signature: inspect.Signature) -> int | None:
    """Where the function takes its progress: behind that many positional arguments."""
    if ARGUMENT not in signature.parameters:
        return None
    if signature.parameters[ARGUMENT].kind is inspect.Parameter.KEYWORD_ONLY:
        return sys.maxsize
    return list(signature.parameters).index(ARGUMENT)


def _check(function: Any) -> None:
    if isinstance(function, Proxy) or hasattr(function, "apply_async"):
        raise DecoratorError(f"push_progress was put on a Celery task: {_HOW}")
    if isinstance(function, type):
        raise DecoratorError("push_progress was put on a class: decorate its run() method instead")
    if isinstance(function, staticmethod | classmethod) or not inspect.isroutine(function):
        raise DecoratorError(f"push_progress can't decorate {function!r}: {_HOW}")
    if hasattr(function, MARK):
        raise DecoratorError("push_progress is on this function twice: remove one")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DecoratorError("push_progress can't decorate an async function: Celery can't run it")
    if inspect.isgeneratorfunction(function):
        raise DecoratorError("push_progress can't decorate a generator: Celery would not run it")
    parameter = inspect.signature(function).parameters.get(ARGUMENT)
    if parameter is not None and parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise DecoratorError("progress can't be positional-only: write `*, progress`")


class _Execution:
    """One call of a decorated function, as a context manager that gives its progress."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def __enter__(self) -> Progress:
        task = self._task()
        self._begins = task is not None
        self.progress = current_progress() if task is None else _begin(task, self._options)
        self._token = enter(self.progress)
        try:
            if task is not None:
                self._announce(task)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self.progress

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        leave(self._token)
        if not self._begins:
            return
        if self.progress.pen is not None:
            self.progress.pen.close()  # what comes now is Celery's to store
        if self._options.capture_logs:
            capture.end(self.progress)
        self.progress.raised = error
        if isinstance(error, JobCancelled):
            self._revoke(error)

    def _task(self) -> Any:
        """The Celery task that runs this very function just now; None if it is merely called."""
        task = current_task
        if not task or getattr(getattr(task, "run", None), MARK, None) is not self._options:
            return None
        request = task.request
        if request.called_directly or request.id is None or hasattr(request, OPEN):
            return None
        return task._get_current_object()  # type: ignore[attr-defined]

    def _announce(self, task: Any) -> None:
        if self._options.capture_logs:
            capture.begin(self.progress)
        outbox = outbox_of(settings_of(task.app))
        outbox.wait_acknowledged(outbox.open(self.progress), CANCELLED_WAIT_SECONDS)
        if self.progress.cancelled:
            raise JobCancelled(self.progress.job)

    def _revoke(self, error: JobCancelled) -> None:
        """Make Celery's own record say REVOKED too, and answer a chord that waits."""
        task = current_task
        try:
            task.backend.mark_as_revoked(
                self.progress.job, "cancelled", request=task.request, store_result=True
            )
        except Exception:  # noqa: BLE001 - any backend, any trouble: the job ends all the same
            _log.warning(
                "Celery was not told that job %s is revoked", self.progress.job, exc_info=True
            )
        self.progress.finish(REVOKED)
        raise Ignore("cancelled") from error


def _begin(task: Any, options: Options) -> Progress:
    settings = settings_of(task.app)
    run = Run.of_request(task, task.request)
    outer = open_progress()
    if task.request.is_eager and outer is not None:
        run.inherit(outer.run)
    progress = Progress(
        run,
        unit=options.unit,
        keep_result=options.result,
        limit=settings.max_payload,
        send_event=events_of(run, lambda: outbox_of(settings)),
        told_end=lambda: outbox_of(settings).ended(),
    )
    if is_bridged(task) and settings.mirrors and stores_results(task):
        progress.pen = Pen(run.job, run.run_id, task.request)
    setattr(task.request, OPEN, progress)
    return progress


@signals.task_prerun.connect(weak=False)
def _begins_undecorated(task: Any = None, **_: Any) -> None:
    """A task without the decorator runs as a job: it is told when it begins and how it ends."""
    if task is not None and not is_bridged(task) and is_job(task, task.request):
        outbox_of(settings_of(task.app)).open(_begin(task, Options()))
