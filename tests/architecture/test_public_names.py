"""The names that users import. A change here is a change of the public interface."""

from __future__ import annotations

import inspect

import pytest

import bridge
import bridge.errors

FOR_TASKS = {"push_progress", "emit", "current_progress", "Progress", "JobCancelled"}
FOR_WEB = {"submit", "Job", "Bridge", "init_app", "issue_token"}
ERRORS = {
    "BridgeError",
    "DecoratorError",
    "InvalidId",
    "PatchingError",
    "PayloadError",
    "PayloadTooLarge",
    "QueueUnavailable",
    "Refused",
    "ReservedName",
    "SettingsError",
    "StageError",
}
DEFINED = {
    name: member
    for name, member in vars(bridge.errors).items()
    if inspect.isclass(member) and issubclass(member, BaseException)
}


def test_the_names_are_pinned() -> None:
    assert set(bridge.__all__) == FOR_TASKS | FOR_WEB | ERRORS
    assert len(bridge.__all__) == len(set(bridge.__all__))


@pytest.mark.parametrize("name", sorted(bridge.__all__))
def test_each_name_is_there_and_told(name: str) -> None:
    member = getattr(bridge, name)
    if callable(member):
        assert (member.__doc__ or "").strip()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        bridge.no_such_name  # noqa: B018  reading it is the test


def test_errors_share_one_root() -> None:
    root = bridge.errors.BridgeError
    assert {name for name, e in DEFINED.items() if not issubclass(e, root)} == {"JobCancelled"}


def test_every_error_is_public_but_for_the_wire_codes() -> None:
    wire_codes = {code.__name__ for code in bridge.errors.Refused.__subclasses__()}
    assert set(DEFINED) == ERRORS | wire_codes | {"JobCancelled"}
