import io
import os
import time
from pathlib import Path

import pytest
from werkzeug.datastructures import FileStorage

from bridge.errors import BadRequest
from web.uploads import KEPT_SECONDS, Uploads, displayed


def test_old_files_are_swept_and_new_ones_stay(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    old, new = tmp_path / "old", tmp_path / "new"
    for path in (old, new):
        path.write_bytes(b"x")
    past = time.time() - KEPT_SECONDS - 10
    os.utime(old, (past, past))
    uploads.sweep()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


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
