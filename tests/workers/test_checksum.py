import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge import Progress
from workers import checksum
from workers.checksum import checksum_folder, list_files
from workers.folders import standard_library

Plain = Callable[[Any], Callable[..., Any]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "data"
    (made / "sub").mkdir(parents=True)
    (made / "a.txt").write_bytes(b"alpha")
    (made / "sub" / "b.bin").write_bytes(b"x" * 1_000_000)
    monkeypatch.setenv("DEMO_FOLDERS", str(made))
    return made


def test_every_file_is_hashed(folder: Path, progress: Progress, plain: Plain) -> None:
    result = plain(checksum_folder)(str(folder), progress=progress)
    parts = b""
    for name, content in ((b"a.txt", b"alpha"), (b"sub/b.bin", b"x" * 1_000_000)):
        parts += name + b"\0" + hashlib.sha256(content).digest()
    assert result == {
        "folder": str(folder),
        "files": 2,
        "bytes": 1_000_005,
        "unreadable": 0,
        "digest": f"sha256:{hashlib.sha256(parts).hexdigest()}",
    }


def test_it_has_two_stages_and_counts_bytes(folder: Path, progress: Progress, plain: Plain) -> None:
    plain(checksum_folder)(str(folder), progress=progress)
    record = progress.record(0)
    assert [stage["name"] for stage in record["stages"]] == ["Listing", "Hashing"]
    assert [stage["state"] for stage in record["stages"]] == ["SUCCESS", "SUCCESS"]
    assert (record["current"], record["total"], record["unit"]) == (1_000_005, 1_000_005, "B")


def test_links_pipes_and_odd_names_do_no_harm(
    folder: Path, progress: Progress, plain: Plain
) -> None:
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9\n")).write_bytes(b"1")
    assert plain(checksum_folder)(str(folder), progress=progress)["files"] == 3
    assert checksum.printable(os.fsdecode(b"caf\xe9")) == "caf\ufffd"


def test_a_file_that_went_away_is_counted(
    folder: Path, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = list(list_files(folder))
    (folder / "a.txt").unlink()
    result = checksum.hash_files(folder, files, progress)
    assert (result["files"], result["unreadable"]) == (1, 1)


def test_a_file_that_grew_does_not_push_the_bar_past_its_end(
    folder: Path, progress: Progress
) -> None:
    files = list(list_files(folder))
    (folder / "a.txt").write_bytes(b"x" * 3_000_000)
    checksum.hash_files(folder, files, progress)
    stage = progress.record(0)["stages"][0]
    assert stage["current"] == stage["total"] == 1_000_005


def test_too_many_files_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum, "MAX_FILES", 1)
    with pytest.raises(ValueError, match="holds more than 1 files: choose a smaller one"):
        list(list_files(folder))


def test_only_folders_on_the_list(progress: Progress, plain: Plain) -> None:
    with pytest.raises(ValueError, match="add it to DEMO_FOLDERS"):
        plain(checksum_folder)("/etc", progress=progress)


def test_the_standard_library_is_listed_without_what_is_not_part_of_it() -> None:
    root = standard_library()
    names = {path.relative_to(root).parts[0] for path, _ in list_files(root)}
    assert {"json", "os.py", "asyncio"} <= names
    assert not names & checksum.NOT_THE_LIBRARY
