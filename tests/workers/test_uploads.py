from collections.abc import Callable
from pathlib import Path

import pytest

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
