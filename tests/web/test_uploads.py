import io
import os
import time
from pathlib import Path
from typing import BinaryIO

import pytest
from werkzeug.datastructures import FileStorage

from bridge.errors import BadRequest, TooMany, Unavailable
from tests.conftest import wait_until
from web.uploads import KEPT_SECONDS, Uploads, displayed


def put_old(path: Path) -> None:
    """Put a file there whose job never came."""
    path.write_bytes(b"x")
    past = time.time() - KEPT_SECONDS - 10
    os.utime(path, (past, past))


def upload(content: bytes) -> FileStorage:
    return FileStorage(io.BytesIO(content), "a.csv")


def test_old_files_are_swept_and_new_ones_stay(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    old, new = tmp_path / ("0" * 32), tmp_path / ("1" * 32)
    put_old(old)
    new.write_bytes(b"x")
    uploads.sweep()
    assert list(tmp_path.iterdir()) == [new]


def test_only_uploads_are_swept(tmp_path: Path) -> None:
    others = [tmp_path / name for name in ("thesis.pdf", ".ssh", "A" * 32, "0" * 33)]
    for path in others:
        put_old(path)
    folder = tmp_path / ("f" * 32)
    folder.mkdir()
    Uploads(tmp_path).sweep()
    assert set(tmp_path.iterdir()) == {*others, folder}


def test_a_link_is_swept_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    folder, target = tmp_path / "uploads", tmp_path / "target"
    folder.mkdir()
    target.write_bytes(b"x")
    link = folder / ("0" * 32)
    link.symlink_to(target)
    os.utime(link, (1, 1), follow_symlinks=False)
    Uploads(folder).sweep()
    assert list(folder.iterdir()) == []
    assert target.exists()


def test_they_are_swept_while_nobody_uploads_anything(tmp_path: Path) -> None:
    first, second = tmp_path / ("0" * 32), tmp_path / ("1" * 32)
    put_old(first)
    ended = Uploads(tmp_path).sweep_regularly(0.01)
    try:
        wait_until(lambda: not first.exists(), what="the first sweep")
        put_old(second)
        wait_until(lambda: not second.exists(), what="a later sweep")
    finally:
        ended.set()


def test_a_sweep_that_fails_is_told_and_the_next_one_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    uploads, path = Uploads(tmp_path), tmp_path / ("0" * 32)
    put_old(path)
    sweep, failures = uploads.sweep, iter([OSError("the disk is gone")])

    def unsteady() -> None:
        for failure in failures:
            raise failure
        sweep()

    monkeypatch.setattr(uploads, "sweep", unsteady)
    ended = uploads.sweep_regularly(0.01)
    try:
        wait_until(lambda: not path.exists(), what="the second sweep")
    finally:
        ended.set()
    assert "old uploads could not be deleted: the disk is gone" in caplog.text


def test_the_folder_is_not_filled_without_end(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, max_waiting_bytes=10)
    name, _ = uploads.save(upload(b"0123456789"))
    with pytest.raises(TooMany, match="try again later"):
        uploads.save(upload(b"x"))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    uploads.discard([name])
    uploads.save(upload(b"x"))


def test_a_folder_that_somebody_else_made_first_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    link, everybodys = tmp_path / "link", tmp_path / "everybodys"
    link.symlink_to(target)
    everybodys.mkdir()
    everybodys.chmod(0o777)
    for folder in (link, everybodys):
        with pytest.raises(Unavailable, match="the node's log says why"):
            Uploads(folder).save(upload(b"x"))
        assert list(folder.iterdir()) == []
        assert f"DEMO_UPLOADS: {folder} is not a folder of this user alone" in caplog.text


def test_a_file_is_private_from_its_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []

    def save(self: FileStorage, kept: BinaryIO, buffer_size: int = 0) -> None:
        modes.append(os.fstat(kept.fileno()).st_mode & 0o777)
        kept.write(b"x")

    monkeypatch.setattr(FileStorage, "save", save)
    before = os.umask(0)
    try:
        Uploads(tmp_path / "made").save(upload(b"x"))
    finally:
        os.umask(before)
    assert modes == [0o600]
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o700


def test_what_breaks_off_is_not_kept(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionResetError("the client went away")

    with pytest.raises(ConnectionResetError):
        Uploads(tmp_path).save(FileStorage(Broken(), "a.csv"))
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_there_is_nothing_to_sweep(tmp_path: Path) -> None:
    Uploads(tmp_path / "none").sweep()


def test_two_files_of_one_name_are_two_files(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    names = {uploads.save(FileStorage(io.BytesIO(b"x"), "same.csv"))[0] for _ in range(2)}
    assert {path.name for path in tmp_path.iterdir()} == names
    uploads.discard([*names, "0" * 32])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.csv", "a.csv"),
        ("/etc/passwd", "passwd"),
        ("C:\\files\\a b.csv", "a b.csv"),
        ("a\x00\n\x1b[31m.csv", "a[31m.csv"),
        ("\u202egnp.exe", "gnp.exe"),
        ("<b>.txt", "<b>.txt"),
        ("x" * 500, "x" * 200),
    ],
)
def test_a_name_is_made_fit_to_be_shown(name: str, wanted: str) -> None:
    assert displayed(name) == wanted


@pytest.mark.parametrize("name", [None, "", " ", "\n", "a/", "..\\"])
def test_no_name_is_refused(name: str | None) -> None:
    with pytest.raises(BadRequest, match="file has no name: choose a file"):
        displayed(name)
