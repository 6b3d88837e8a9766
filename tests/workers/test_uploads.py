from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.signals import task_failure, task_postrun, task_revoked

from workers.uploads import taken, uploads_folder


def test_files_are_there_during_the_job_and_gone_afterwards(
    upload: Callable[[bytes], str],
) -> None:
    with taken([upload(b"one"), upload(b"two")]) as paths:
        assert [path.read_bytes() for path in paths] == [b"one", b"two"]
    assert list(uploads_folder().iterdir()) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_files_are_deleted_when_the_job_fails(
    upload: Callable[[bytes], str], error: type[BaseException]
) -> None:
    name = upload(b"one")
    with pytest.raises(error), taken([name]):
        raise error
    assert list(uploads_folder().iterdir()) == []


def test_if_one_is_missing_the_others_are_deleted_too(upload: Callable[[bytes], str]) -> None:
    with pytest.raises(FileNotFoundError, match="upload it again"), taken([upload(b"x"), "f" * 32]):
        pass
    assert list(uploads_folder().iterdir()) == []


@pytest.mark.parametrize(
    "names",
    [["../" + "a" * 29], ["/etc/passwd"], ["a" * 31], ["A" * 32], [5], ["a" * 32 + "\n"], "a"],
)
def test_only_names_of_uploads_are_taken(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(ValueError, match="upload"), taken(names, {"DEMO_UPLOADS": str(tmp_path)}):
        pass


def test_a_link_is_not_followed_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, secret = tmp_path / "uploads", tmp_path / "secret"
    folder.mkdir()
    secret.write_bytes(b"secret")
    (folder / ("0" * 32)).symlink_to(secret)
    with (
        pytest.raises(FileNotFoundError),
        taken(["0" * 32], {"DEMO_UPLOADS": str(folder)}),
    ):
        pass
    assert list(folder.iterdir()) == []
    assert secret.exists()


Ends = Callable[[dict[str, Any]], Any]
ENDS: dict[str, Ends] = {
    "cancelled in the queue": lambda k: task_postrun.send(None, kwargs=k, state="IGNORED"),
    "ended before it read them": lambda k: task_postrun.send(None, kwargs=k, state="FAILURE"),
    "killed": lambda k: task_failure.send(None, kwargs=k),
    "revoked": lambda k: task_revoked.send(None, request=SimpleNamespace(kwargs=k)),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_files_go_with_a_job_that_never_took_them(
    upload: Callable[[bytes], str], end: Ends
) -> None:
    other = upload(b"of another job")
    end({"upload": upload(b"one"), "name": "a.csv"})
    end({"uploads": [upload(b"one"), upload(b"two")], "names": ["1", "2"]})
    assert [path.name for path in uploads_folder().iterdir()] == [other]


@pytest.mark.parametrize("state", ["RETRY", "REJECTED"])
def test_files_stay_for_a_job_that_runs_again(upload: Callable[[bytes], str], state: str) -> None:
    name = upload(b"one")
    task_postrun.send(None, kwargs={"upload": name}, state=state)
    assert [path.name for path in uploads_folder().iterdir()] == [name]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize(
    "value", [None, 5, "../../etc/passwd", "/etc/passwd", ["../x"], {"a": 1}, "f" * 31, b"f" * 32]
)
def test_what_names_no_upload_deletes_nothing(
    upload: Callable[[bytes], str], end: Ends, value: Any
) -> None:
    upload(b"one")
    failures = [
        result
        for kwargs in ({"upload": value}, {"uploads": value}, {"uploads": [value, value]}, value)
        for _, result in end(kwargs)
        if isinstance(result, Exception)
    ]
    assert failures == []
    assert len(list(uploads_folder().iterdir())) == 1
