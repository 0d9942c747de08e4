"""An artifact holds all that a release uses, under a name that its content alone decides."""

import json
import zipfile
from pathlib import Path

import pytest

from support.applications import MakeApplication
from support.checkouts import git
from tidegate.build.artifact import build_artifact
from tidegate.core.errors import InputError, TemplateError
from tidegate.core.model.artifact import ArtifactContents


def commit(folder: Path) -> None:
    git(folder, "init", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--message=Greet people\n\nAt length.")


def names(archive: Path) -> set[str]:
    with zipfile.ZipFile(archive) as opened:
        return set(opened.namelist())


def held_by(path: Path) -> set[str]:
    """The names in an archive, none for another file."""
    return names(path) if path.suffix == ".zip" else set()


def test_the_same_application_gives_the_same_artifact(application: MakeApplication) -> None:
    one = build_artifact(application("plain", at="one"))
    two = build_artifact(application("plain", at="two"))

    assert one.digest == two.digest
    assert list(one.files) == list(two.files)
    assert all(one.files[key].read_bytes() == two.files[key].read_bytes() for key in one.files)


def test_building_again_changes_nothing(application: MakeApplication) -> None:
    folder = application("plain")

    assert build_artifact(folder).digest == build_artifact(folder).digest


@pytest.mark.parametrize("changed", ["greeter/app.py", "template.yaml", "tidegate.yaml", "test.py"])
def test_whatever_a_release_uses_changes_the_artifact(
    changed: str, application: MakeApplication
) -> None:
    folder = application("plain")
    before = build_artifact(folder).digest
    with (folder / changed).open("a") as file:
        file.write("\n# changed\n" if changed.endswith("py") else "\ndescription: changed\n")
    if changed == "tidegate.yaml":
        text = (folder / changed).read_text().replace("description: changed", "")
        (folder / changed).write_text(text.replace("eu-west-1", "us-east-1"))
    if changed == "template.yaml":
        text = (folder / changed).read_text().replace("description: changed", "")
        (folder / changed).write_text(text.replace("python3.12", "python3.13"))

    assert build_artifact(folder).digest != before


def test_describes_itself(application: MakeApplication) -> None:
    artifact = build_artifact(application("plain"))

    stored = artifact.files[f"{artifact.prefix}/artifact.json"].read_text()
    assert ArtifactContents.model_validate_json(stored).digest() == artifact.digest
    assert artifact.prefix == f"applications/shop/artifacts/{artifact.digest[7:]}"
    assert artifact.contents.application == "shop"
    assert artifact.contents.functions == ("Greeter",)


def test_takes_what_sam_build_made(application: MakeApplication) -> None:
    folder = application("plain")
    built = folder / ".aws-sam" / "build"
    (built / "Greeter").mkdir(parents=True)
    (built / "Greeter" / "dependency.py").write_text("# installed\n")
    text = (folder / "template.yaml").read_text().replace("greeter/", "Greeter")
    (built / "template.yaml").write_text(text)

    artifact = build_artifact(folder, template=built / "template.yaml")

    code = json.loads(artifact.files[f"{artifact.prefix}/template.json"].read_text())
    key = code["Resources"]["Greeter"]["Properties"]["Code"]["S3Key"]
    assert names(artifact.files[key]) == {"dependency.py"}
    assert not any(".aws-sam" in name for name in names(source(artifact.files)))


def source(files: object) -> Path:
    assert isinstance(files, dict)
    return next(path for key, path in files.items() if key.endswith("/source.zip"))


def test_the_source_is_what_git_tracks(application: MakeApplication) -> None:
    folder = application("plain")
    commit(folder)
    (folder / "notes.txt").write_text("mine alone")

    artifact = build_artifact(folder)

    assert names(source(artifact.files)) == {"greeter/app.py", "template.yaml", "tidegate.yaml"}


def test_history_authors_and_messages_do_not_change_the_artifact(
    application: MakeApplication,
) -> None:
    without_git = build_artifact(application("plain", at="without"))
    folder = application("plain", at="with")
    commit(folder)
    first = build_artifact(folder)
    git(folder, "commit", "--amend", "--author=Grace <g@example.com>", "--message=Other")
    git(folder, "checkout", "--detach")

    assert without_git.digest == first.digest == build_artifact(folder).digest
    assert not any(".git/" in name for path in first.files.values() for name in held_by(path))


def test_without_git_the_source_is_everything_but_what_builds_leave(
    application: MakeApplication,
) -> None:
    folder = application("plain")
    (folder / "greeter" / "__pycache__").mkdir()
    (folder / "greeter" / "__pycache__" / "app.pyc").write_text("bytecode")
    (folder / "release.json").write_text("of the build before")

    artifact = build_artifact(folder, output=folder / "out")

    assert names(source(artifact.files)) == {"greeter/app.py", "template.yaml", "tidegate.yaml"}


def test_says_that_there_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such manifest"):
        build_artifact(tmp_path)


def test_says_that_there_is_no_template(application: MakeApplication) -> None:
    folder = application("plain")
    (folder / "template.yaml").unlink()

    with pytest.raises(TemplateError, match=r"template\.yaml: there is no such template"):
        build_artifact(folder)
