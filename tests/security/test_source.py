"""What lies in a folder runs nothing when it is planned, and takes nothing of the machine along."""

import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.applications import MANIFEST, write
from support.checkouts import git
from tidegate.build.artifact import Artifact, build_artifact
from tidegate.build.source import find_revision, source_files
from tidegate.core.errors import InputError, TemplateError

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Shop:
    Type: AWS::Serverless::Function
    Properties:
      {CodeUri: CODE, Runtime: python3.11, Handler: app.handler, AutoPublishAlias: live}
"""
SECRET = "aws_secret_access_key = of this machine"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An application, and beside it what is none of its business."""
    write(
        tmp_path,
        {
            "application/tidegate.yaml": MANIFEST,
            "application/template.yaml": TEMPLATE.replace("CODE", "code"),
            "application/code/app.py": "def handler(event, context): return 1\n",
            "elsewhere/credentials": SECRET,
        },
    )
    return tmp_path / "application"


def packed(artifact: Artifact) -> dict[str, str]:
    """Every file in a package or in the source, by package and name."""
    found = {}
    for key, path in artifact.files.items():
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    found[f"{Path(key).name}:{name}"] = archive.read(name).decode()
    return found


def program(path: Path, written: Path) -> Path:
    """What an attacker wants to have run."""
    path.write_text(f"#!/bin/sh\ntouch {written}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# git


@pytest.mark.parametrize(
    ("name", "value"),
    [("core.fsmonitor", "{program}"), ("core.hooksPath", "{folder}"), ("core.pager", "{program}")],
)
@pytest.mark.parametrize("place", [".", ".git"])
def test_no_repository_in_the_folder_runs_a_program_when_it_is_planned(
    folder: Path, place: str, name: str, value: str
) -> None:
    written = folder / "written"
    evil = program(folder / "post-index-change", written)
    git(folder, "init", "--quiet", "--initial-branch=main", "made")
    (folder / place).mkdir(exist_ok=True)
    for part in (folder / "made" / ".git").iterdir():
        part.rename(folder / place / part.name)
    (folder / "made" / ".git").rmdir()
    there = ("--git-dir", place, "--work-tree", ".")
    git(folder, *there, "config", "core.worktree", str(folder))
    git(folder, *there, "add", "code")
    git(folder, *there, "commit", "--quiet", "--message", "x")
    git(folder, *there, "config", name, value.format(program=evil, folder=folder))

    planned = subprocess.run(
        [sys.executable, "-m", "tidegate.cli", "plan"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert planned.returncode == 0, planned.stderr
    assert "Shop" in planned.stdout
    find_revision(folder, {"CODEBUILD_RESOLVED_SOURCE_VERSION": "HEAD"})
    assert not written.exists()


def test_no_partial_clone_fetches_by_a_program_of_its_own(folder: Path) -> None:
    written = folder / "written"
    evil = program(folder / "upload-pack", written)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "code")
    git(folder, "commit", "--quiet", "--message", "x")
    missing = git(folder, "rev-parse", "HEAD")
    for name, value in (
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", str(folder)),
        ("remote.origin.uploadpack", str(evil)),
        ("protocol.file.allow", "always"),
    ):
        git(folder, "config", name, value)
    (folder / ".git" / "objects" / missing[:2] / missing[2:]).unlink()

    with pytest.raises(InputError, match="nothing names the commit"):
        find_revision(folder, {})
    assert [name for name, _ in source_files(folder, output=folder / "out")] == ["code/app.py"]
    assert not written.exists()


# Packages


@pytest.mark.parametrize("code", ["../", "../elsewhere", "code/../../elsewhere", "{absolute}"])
def test_no_code_comes_from_outside_of_the_checkout(folder: Path, code: str) -> None:
    code = code.format(absolute=folder.parent / "elsewhere")
    (folder / "template.yaml").write_text(TEMPLATE.replace("CODE", code))
    with pytest.raises(
        TemplateError, match=r"template\.yaml: Shop\.CodeUri: it leads to .*, which is not in "
    ):
        build_artifact(folder)


def test_no_template_comes_from_outside_of_the_checkout(folder: Path) -> None:
    (folder / "template.yaml").rename(folder.parent / "elsewhere" / "template.yaml")
    (folder / "template.yaml").symlink_to("../elsewhere/template.yaml")
    with pytest.raises(TemplateError, match=r"tidegate\.yaml: template: it leads to "):
        build_artifact(folder)


@pytest.mark.parametrize("target", ["../../elsewhere", "../../elsewhere/credentials", "/etc"])
def test_no_link_brings_what_lies_elsewhere_into_a_package(folder: Path, target: str) -> None:
    (folder / "code" / "link").symlink_to(target)
    with pytest.raises(TemplateError, match=r"code/link: it leads to .*Keep the code in"):
        build_artifact(folder)


def test_no_link_that_git_tracks_brings_what_lies_elsewhere_into_the_source(folder: Path) -> None:
    git(folder, "init", "--quiet")
    (folder / "link").symlink_to("../elsewhere/credentials")
    git(folder, "add", "link", "code")
    with pytest.raises(TemplateError, match="link: it leads to"):
        list(source_files(folder, output=folder / "out"))


def test_a_link_within_the_checkout_is_followed(folder: Path) -> None:
    git(folder.parent, "init", "--quiet")
    (folder / "code" / "shared").symlink_to("../../elsewhere")
    assert SECRET in packed(build_artifact(folder)).values()  # it is the checkout's own


@pytest.mark.parametrize("name", [".env", ".env.local", "deep/.env.production"])
@pytest.mark.parametrize("is_repository", [True, False])
def test_no_package_and_no_source_holds_what_is_for_this_machine(
    folder: Path, name: str, is_repository: bool
) -> None:
    if is_repository:
        git(folder, "init", "--quiet")
        (folder / ".gitignore").write_text(".env*\n")
        git(folder, "add", "--all")
    write(folder / "code", {name: SECRET})
    artifact = build_artifact(folder)
    assert SECRET not in packed(artifact).values()
    assert any(one.endswith("code/app.py") for one in packed(artifact))
    said = f"{folder / 'code' / name} is in no package"
    assert [one.partition(":")[0] for one in artifact.warnings] == [said]


def test_the_artifact_is_the_same_with_and_without(folder: Path) -> None:
    before = build_artifact(folder).digest
    write(folder / "code", {".env": SECRET})
    assert build_artifact(folder).digest == before


# Secrets

NO_ECHO = """
Parameters:
  Password: {Type: String, NoEcho: true, Default: none}
"""


@pytest.mark.parametrize("no_echo", ["true", "'true'", "True"])
def test_no_artifact_and_no_record_keeps_what_is_not_echoed(folder: Path, no_echo: str) -> None:
    template = NO_ECHO.replace("true", no_echo) + TEMPLATE.replace("CODE", "code")
    (folder / "template.yaml").write_text(template)
    manifest = MANIFEST.replace("regions:", "parameters: {Password: hunter2}, regions:")
    (folder / "tidegate.yaml").write_text(manifest)
    with pytest.raises(InputError) as refused:
        build_artifact(folder)
    assert "tidegate.yaml: stages[0].parameters.Password" in str(refused.value)
    assert "hunter2" not in str(refused.value)
    written = [path for path in (folder / ".tidegate").rglob("*") if path.is_file()]
    assert not any(b"hunter2" in path.read_bytes() for path in written)


def test_a_reference_to_a_secret_is_none(folder: Path) -> None:
    (folder / "template.yaml").write_text(NO_ECHO + TEMPLATE.replace("CODE", "code"))
    reference = "{{resolve:secretsmanager:shop/password}}"
    manifest = MANIFEST.replace("regions:", f'parameters: {{Password: "{reference}"}}, regions:')
    (folder / "tidegate.yaml").write_text(manifest)
    (stage,) = build_artifact(folder).contents.manifest.stages
    assert stage.parameters["Password"] == reference
