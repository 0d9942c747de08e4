"""Selecting, packing and unpacking the files of a build."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from tidegate_embedded.codebuild.buildspec import Files
from tidegate_embedded.codebuild.files import FilesError, pack, select, unpack


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("top.txt", "out/a.txt", "out/deep/b.txt", "out/deep/.hidden"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (Files(("**/*",)), ["out/a.txt", "out/deep/.hidden", "out/deep/b.txt", "top.txt"]),
        (Files(("*",)), ["top.txt"]),
        (Files(("**/*",), base_directory="out", excludes=("a.*",)), ["deep/.hidden", "deep/b.txt"]),
        (Files(("out/deep/b.txt",), discard_paths=True), ["b.txt"]),
        (Files(("$NAME",), base_directory="$FOLDER"), ["a.txt"]),
    ],
)
def test_selects_by_pattern(root: Path, files: Files, names: list[str]) -> None:
    selected = select(files, root, {"FOLDER": "out", "NAME": "a.txt"})
    assert [name for name, _ in selected] == names


@pytest.mark.parametrize("files", [Files(("none",)), Files(("*",), base_directory="none")])
def test_says_when_nothing_matches(root: Path, files: Files) -> None:
    with pytest.raises(FilesError, match="none"):
        select(files, root, {})


def test_packed_files_come_out_as_they_went_in(root: Path, tmp_path: Path) -> None:
    script = root / "out" / "a.txt"
    script.chmod(0o755)
    unpack(pack([("bin/run", script)]), tmp_path / "copy")
    copied = tmp_path / "copy" / "bin" / "run"
    assert copied.read_text() == "out/a.txt"
    assert os.access(copied, os.X_OK)


def test_members_stay_inside_the_folder(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../escaped", "x")
    unpack(buffer.getvalue(), tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "escaped").exists()


def test_refuses_what_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(FilesError, match="not a zip archive"):
        unpack(b"text", tmp_path)
