"""A build knows which commit it builds, who made it, and takes no text for more than text."""

import subprocess
from pathlib import Path

import pytest

from tidegate.build.source import Revision, find_revision
from tidegate.core.errors import InputError

AUTHOR = "Ada <ada@example.com>"


class Repository:
    """A repository in which Ada commits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, author: str = "Ada") -> str:
        identity = ["-c", f"user.name={author}", "-c", "user.email=ada@example.com"]
        command = ["git", "-C", str(self.folder), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, message: str = "Greet people", *, author: str = "Ada") -> str:
        options = ("--quiet", "--allow-empty", "--cleanup=verbatim", "--message", message)
        self.git("commit", *options, author=author)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_git_names_commit_branch_author_and_subject(repository: Repository) -> None:
    commit = repository.commit("Greet people\n\nAt length.")

    assert find_revision(repository.folder, {}) == Revision(commit, "main", AUTHOR, "Greet people")


def test_a_clone_without_a_branch_is_told_its_branch(repository: Repository) -> None:
    commit = repository.commit()
    repository.git("checkout", "--quiet", "--detach")
    told = {"CODEBUILD_RESOLVED_SOURCE_VERSION": commit, "TIDEGATE_BRANCH": "main"}

    assert find_revision(repository.folder, {}).branch == ""
    assert find_revision(repository.folder, told) == Revision(
        commit, "main", AUTHOR, "Greet people"
    )


def test_the_author_is_that_of_the_commit_that_is_built(repository: Repository) -> None:
    built = repository.commit("Built")
    repository.commit("Later", author="Grace")

    told = find_revision(repository.folder, {"CODEBUILD_RESOLVED_SOURCE_VERSION": built})

    assert (told.commit, told.author, told.subject) == (built, AUTHOR, "Built")


@pytest.mark.parametrize("commit", ["c0ffee" * 6 + "c0ff", "c0ffee", "--all", "-1"])
def test_a_commit_of_another_repository_has_no_author_of_this_one(
    repository: Repository, commit: str
) -> None:
    repository.commit()

    assert find_revision(repository.folder, {}, commit=commit) == Revision(commit)


def test_a_source_without_history_is_told_what_is_known(tmp_path: Path) -> None:
    environment = {"CODEBUILD_RESOLVED_SOURCE_VERSION": "c0ffee", "TIDEGATE_BRANCH": "main"}

    revision = find_revision(tmp_path, environment, branch="", author="Ada")

    assert revision == Revision("c0ffee", branch="main", author="Ada")


def test_asks_for_the_commit_when_nothing_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing names the commit"):
        find_revision(tmp_path, {})


@pytest.mark.parametrize(
    ("message", "subject"),
    [
        ("\n\nGreet people\nand more", "Greet people"),
        ('Say "hello" {"a": 1}', 'Say "hello" {"a": 1}'),
        ("Grüße an alle 👋", "Grüße an alle 👋"),
        ("Clear\x1b[2J the\x07 screen\x9b1m", "Clear[2J the screen1m"),
        ("One\tTwo\u2028Three", "One Two Three"),
        ("admin\u202egnp.exe\u200b", "admingnp.exe"),
        ("x" * 500, "x" * 199 + "…"),
    ],
)
def test_a_subject_is_one_line_that_prints(
    repository: Repository, message: str, subject: str
) -> None:
    repository.commit(message)

    assert find_revision(repository.folder, {}).subject == subject


def test_a_message_in_another_encoding_is_read_as_far_as_it_can_be(repository: Repository) -> None:
    message = repository.folder / "message"
    message.write_bytes(b"Gr\xfc\xdfe\n")
    repository.git("commit", "--quiet", "--allow-empty", "--file", str(message))

    subject = find_revision(repository.folder, {}).subject

    assert subject.startswith("Gr")
    assert subject.isprintable()


def test_an_author_cannot_move_the_cursor(repository: Repository) -> None:
    repository.commit(author="A\x1b[1Ada")

    assert find_revision(repository.folder, {}).author == "A[1Ada <ada@example.com>"


def test_what_is_told_is_cleaned_as_what_is_found(tmp_path: Path) -> None:
    revision = find_revision(tmp_path, {}, commit="c0ffee", subject="\x1b]0;title\x07Hello\nmore")

    assert revision.subject == "]0;titleHello"


def test_git_settings_of_a_person_do_not_change_what_is_read(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text(
        "[log]\n\tshowSignature = true\n\tdecorate = full\n[color]\n\tui = always\n"
    )
    repository.commit()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))

    assert find_revision(repository.folder, {}).author == AUTHOR
