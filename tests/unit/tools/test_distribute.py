"""A tag makes wheels, checksums and notes, or one message that says why not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from support.scripts import load

distribute = load("distribute")

CHANGELOG = """\
# Changes

## Unreleased

- Not yet.

## 1.2.0 (2026-11-01)

- A first thing.
- A second.

## 1.1.0

"""


@pytest.fixture
def projects(tmp_path: Path) -> list[Path]:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    return [tmp_path / "one", tmp_path / "two"]


def test_the_version_is_that_of_the_tag_and_of_every_project(projects: list[Path]) -> None:
    assert distribute.version_of("v1.2.0", projects) == "1.2.0"


@pytest.mark.parametrize("tag", ["1.2.0", "v1.2", "v1.2.0-rc1", "main"])
def test_what_is_no_tag_of_a_release_is_refused(projects: list[Path], tag: str) -> None:
    with pytest.raises(distribute.ReleaseError, match="is no tag of a release"):
        distribute.version_of(tag, projects)


def test_a_project_of_another_version_is_named(projects: list[Path]) -> None:
    (projects[1] / "pyproject.toml").write_text('[project]\nversion = "1.1.0"\n')
    with pytest.raises(distribute.ReleaseError, match=r"two.pyproject.toml: version is 1\.1\.0"):
        distribute.version_of("v1.2.0", projects)


def test_the_notes_are_the_section_of_the_changelog() -> None:
    assert distribute.notes(CHANGELOG, "1.2.0") == "- A first thing.\n- A second.\n"
    assert distribute.notes(CHANGELOG, distribute.UNRELEASED) == "- Not yet.\n"


@pytest.mark.parametrize("version", ["1.1.0", "1.2", "2.0.0"])
def test_a_version_of_which_nothing_is_said_is_refused(version: str) -> None:
    with pytest.raises(distribute.ReleaseError, match="there is no section"):
        distribute.notes(CHANGELOG, version)


def test_a_rehearsal_makes_all_that_a_release_has(tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    assert distribute.main(["--folder", str(folder)]) == 0
    wheels = sorted(folder.glob("*.whl"))
    assert [wheel.name.partition("-")[0] for wheel in wheels] == ["tidegate", "tidegate_embedded"]
    sums = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert sums == {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in wheels}
    assert (folder / "notes.md").read_text()


def test_a_refusal_leaves_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept").touch()
    assert distribute.main(["--tag", "v99.0.0", "--folder", str(tmp_path)]) == 1
    assert "version is" in capsys.readouterr().err
    assert (tmp_path / "kept").exists()
