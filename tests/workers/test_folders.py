import os
from pathlib import Path

import pytest

from workers.folders import allowed_folder, allowed_folders, standard_library


def test_the_standard_library_comes_first() -> None:
    assert (standard_library() / "json" / "__init__.py").is_file()
    assert allowed_folder(None, {}) == allowed_folder("", {}) == standard_library()
    assert allowed_folder(str(standard_library()), {}) == standard_library()


def test_what_is_on_the_list_may_be_read(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    first.mkdir()
    second.mkdir()
    environ = {"DEMO_FOLDERS": os.pathsep.join((str(first), "", str(second)))}
    assert allowed_folders(environ) == (standard_library(), first, second)
    assert allowed_folder(str(second), environ) == second


@pytest.mark.parametrize("name", ["/etc", "one/..", "one/inner", ".", "\0", "leads out", 5, ["/"]])
def test_what_is_not_on_the_list_is_refused(tmp_path: Path, name: object) -> None:
    (tmp_path / "one" / "inner").mkdir(parents=True)
    (tmp_path / "leads out").symlink_to("/etc")
    asked = str(tmp_path / name) if isinstance(name, str) and name not in ("/etc", "\0") else name
    with pytest.raises(ValueError, match="folder="):
        allowed_folder(asked, {"DEMO_FOLDERS": str(tmp_path / "one")})  # type: ignore[arg-type]


@pytest.mark.parametrize("entry", ["relative", "/no/such/folder"])
def test_a_bad_entry_of_the_list_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=f"DEMO_FOLDERS: '{entry}' is not the absolute path"):
        allowed_folders({"DEMO_FOLDERS": entry})
