"""A build knows which commit it builds, who made it, and takes no text for more than text."""

import subprocess
from pathlib import Path

import pytest

from tidegate.build.source import find_revision
from tidegate.core.errors import InputError
from tidegate.core.model.artifact import Commit, Revision

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

    assert find_revision(repository.folder, {}) == Revision(
        commit=commit,
        branch="main",
        author=AUTHOR,
        subject="Greet people",
        history=(Commit(id=commit, authors=(AUTHOR,)),),
    )


def test_git_names_all_authors_of_all_commits_and_what_they_come_after(
    repository: Repository,
) -> None:
    first = repository.commit("First")
    repository.git("checkout", "--quiet", "-b", "branch")
    trailers = "Co-authored-by: Ben <ben@example.com>\nco-authored-by:  Cy \n  <cy@example.com>"
    branch = repository.commit(f"Branch\n\nAt length.\n\n{trailers}", author="Grace")
    repository.git("checkout", "--quiet", "main")
    main = repository.commit("Main")
    repository.git("merge", "--quiet", "--no-ff", "branch", "--message", "Merge", author="Mia")
    merge = repository.git("rev-parse", "HEAD")

    history = find_revision(repository.folder, {}).history

    assert history[0] == Commit(
        id=merge, parents=(main, branch), authors=("Mia <ada@example.com>",)
    )
    assert {commit.id: commit for commit in history[1:]} == {
        main: Commit(id=main, parents=(first,), authors=(AUTHOR,)),
        branch: Commit(
            id=branch,
            parents=(first,),
            authors=("Grace <ada@example.com>", "Ben <ben@example.com>", "Cy <cy@example.com>"),
        ),
        first: Commit(id=first, authors=(AUTHOR,)),
    }


def test_a_shallow_clone_knows_what_it_does_not_have(
    repository: Repository, tmp_path: Path
) -> None:
    older = repository.commit("Older")
    newer = repository.commit("Newer")
    shallow = tmp_path / "shallow"
    repository.git("clone", "--quiet", "--depth=1", f"file://{repository.folder}", str(shallow))

    assert find_revision(shallow, {}).history == (
        Commit(id=newer, parents=(older,), authors=(AUTHOR,)),
    )


def test_keeps_the_newest_commits_of_a_long_history(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.build.source._MOST_COMMITS", 2)
    commits = [repository.commit(str(number)) for number in range(3)]

    history = find_revision(repository.folder, {}).history

    assert [commit.id for commit in history] == [commits[2], commits[1]]
    assert history[-1].parents == (commits[0],)


def test_a_clone_without_a_branch_is_told_its_branch(repository: Repository) -> None:
    commit = repository.commit()
    repository.git("checkout", "--quiet", "--detach")
    told = {"TIDEGATE_COMMIT": commit, "TIDEGATE_BRANCH": "main"}

    assert find_revision(repository.folder, {}).branch == ""
    found = find_revision(repository.folder, told)
    assert (found.commit, found.branch, found.author) == (commit, "main", AUTHOR)


def test_the_commit_may_be_named_in_short(repository: Repository) -> None:
    commit = repository.commit()

    assert find_revision(repository.folder, {}, commit=commit[:10]).commit == commit


def test_a_source_without_history_is_told_what_is_known(tmp_path: Path) -> None:
    environment = {"CODEBUILD_RESOLVED_SOURCE_VERSION": "c0ffee", "TIDEGATE_BRANCH": "main"}

    revision = find_revision(tmp_path, environment, branch="", author="Ada")

    assert revision == Revision(commit="c0ffee", branch="main", author="Ada")


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
