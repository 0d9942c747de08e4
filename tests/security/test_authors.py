"""Nobody says in the place of git and the pipeline who wrote what, and no author approves it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.checkouts import git
from support.story import PROD, Story
from tidegate.build.source import find_revision
from tidegate.cli.reading import read_release
from tidegate.cli.tree import next_words, release_node, walk
from tidegate.core.approval.authors import authorship
from tidegate.core.errors import InputError, NotAllowedNow
from tidegate.core.model.artifact import CONTENTS_FILE, ArtifactContents
from tidegate.core.model.plan import ArtifactRef, ReleaseRef
from tidegate.core.model.record import Approval, Decision
from tidegate.core.workflow.notify import PublishedEvent, notify
from tidegate.core.workflow.operator.approvals import approve
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.records import find
from tidegate.core.workflow.release.artifacts import read_contents
from tidegate.testing.application import BUCKET

NOT_THE_AUTHOR = "approval: {author_may_approve: false}"
TOPIC = "arn:aws:sns:eu-west-1:333333333333:releases"
ADA = "Ada Lovelace <ada@example.org>"


def person(name: str) -> Operator:
    return Operator(f"arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_Operator/{name}")


def asked(story: Story, number: int = 1) -> Approval:
    found = find(story.world.ledger, Approval, release_id=f"hello-{number}", stage="prod")
    assert found
    return found


def story_of(*authors: str, approval: str = NOT_THE_AUTHOR) -> Story:
    """Whatever is built next has a commit by these."""
    story = Story(approval=f"{approval}\n    notifications: [{{topic: '{TOPIC}'}}]")
    story.at(PROD).topics.messages = {TOPIC: []}
    story.application.author = authors[0]
    story.application.commit("by-these", *authors)
    return story


def release(story: Story, *voters: str, code: str = "one") -> tuple[str, list[str]]:
    """What becomes of it when these vote, one after the other, and what each is told."""
    told: list[str] = []

    def vote(ref: ReleaseRef, _: str) -> None:
        for name in voters:
            try:
                told.append(approve(story.ports, person(name), ref.id))
            except NotAllowedNow as refused:
                told.append(str(refused))

    story.machines.while_waiting = vote
    artifact = story.application.build(code, commit="by-these" if code == "one" else "")
    return story.machines.release(artifact, story.next_execution()), told


# The author's own vote


@pytest.mark.parametrize("author", ["", "<>", " <>"])
def test_no_release_by_the_vote_of_an_author_without_a_name_alone(author: str) -> None:
    phase, told = release(story_of(author), "ada")
    assert phase == "rejected"
    (said,) = told
    assert said.startswith("ada (AWSReservedSSO_Operator, 111111111111) approved prod of hello-1;")
    assert said.endswith(
        " 1 more must agree. It is not certain who wrote this, so one person more than the manifest"
        " asks must agree: a commit names no author."
    )
    assert release(story_of(author), "ada", "bob")[0] == "succeeded"


@pytest.mark.parametrize(
    ("author", "session"),
    [
        ("First Last <first@example.org>", "first.last"),
        ("First Last <first@example.org>", "first-last@example.org"),
        ("First Last <fl@example.org>", "last.first"),
        ("First Last <77+first@users.noreply.github.com>", "first"),
        ("J\u00f6rg M\u00fcller <jm@example.org>", "joerg.mueller"),
    ],
)
def test_no_vote_for_an_author_under_another_spelling(author: str, session: str) -> None:
    story = story_of(author)
    phase, (told,) = release(story, session)
    assert phase == "rejected"
    assert "is the author" in told
    assert asked(story).votes == ()


@pytest.mark.parametrize(
    ("author", "session"),
    [
        (ADA, "ada.byron"),
        (ADA, "alovelace"),
        ("Queen <queen@mail.example>", "ada@example.org"),
        ("Ada <77+countess@users.noreply.github.com>", "lovelace"),
        ("Countess", "lovelace"),
    ],
)
def test_no_release_by_the_vote_alone_of_whoever_may_be_the_author(
    author: str, session: str
) -> None:
    phase, (told,) = release(story_of(author), session)
    assert phase == "rejected"
    assert "1 more must agree. It is not certain who wrote this" in told
    assert author in told
    assert release(story_of(author), session, "bob.builder@example.org")[0] == "succeeded"


def test_no_vote_for_a_co_author() -> None:
    story = story_of("Bob <bob@example.org>", ADA)
    phase, (told,) = release(story, "ada")
    assert (phase, asked(story).votes) == ("rejected", ())
    assert f"is the author {ADA} of what is not live yet" in told


def test_no_vote_for_whoever_wrote_an_earlier_commit_that_is_not_live_either() -> None:
    story = story_of("Bob <bob@example.org>")
    assert release(story, "cid")[0] == "succeeded"
    story.application.commit("hers", ADA)
    phase, told = release(story, "ada", code="two")
    assert phase == "rejected"
    assert "is the author" in told[0]
    assert release(story, "cid", code="three")[0] == "succeeded"  # with all that was not yet live
    assert release(story, "ada", code="four")[0] == "succeeded"  # what she wrote is live


def test_no_release_by_one_vote_when_history_was_rewritten_since_what_is_live() -> None:
    story = story_of("Bob <bob@example.org>")
    assert release(story, "cid")[0] == "succeeded"
    story.application.commits.clear()
    phase, (told,) = release(story, "ada", code="two")
    assert phase == "rejected"
    assert "serves commit by-thes, which is not in the history that was built" in told
    assert release(story, "ada", "cid", code="two")[0] == "succeeded"


def test_no_history_that_is_cut_off_hides_an_author(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    git(whole, "init", "--quiet", "--initial-branch=main")
    for author in ("Live", "Ada", "Bob"):
        commit(whole, author=author)
    live = git(whole, "rev-parse", "HEAD~2")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{whole}", "shallow")
    shallow = find_revision(tmp_path / "shallow", {})

    for served in (live, ""):
        assert authorship(shallow, {PROD: served}).doubts
    known = authorship(find_revision(whole, {}), {PROD: live})
    assert known.authors == ("Bob <x@example.com>", "Ada <x@example.com>")
    assert known.doubts == ()


def test_nobody_is_asked_without_being_told_that_its_author_is_uncertain() -> None:
    story = story_of("Countess")
    seen: list[Any] = []

    def look(ref: ReleaseRef, stage: str) -> None:
        notify(story.ports, PublishedEvent(release=ref, stage=stage))
        view = read_release(story.world.ledger, story.get(1), story.world.clock.now())
        seen.extend([next_words(view), dict(walk(release_node(view)))])

    story.machines.while_waiting = look
    story.release("one")

    doubt = "no address to know a person by has Countess"
    (words, tree) = seen
    assert words.startswith("2 people have to decide")
    shown = tree["hello-1 prod approval authors"]
    assert (shown.status, shown.info) == ("not certain, one more asked", doubt)
    ((_, message),) = story.at(PROD).topics.messages[TOPIC]
    assert f"one person more than the manifest asks must agree: {doubt}." in message
    (event,) = [said for kind, said in story.world.bus.events if kind == "Approval Requested"]
    assert (event["approvers"], event["doubts"]) == (2, [doubt])


def test_one_vote_is_enough_where_everybody_is_known() -> None:
    story = story_of(ADA, "Cid <cid@example.org>")
    assert release(story, "bob")[0] == "succeeded"
    assert (asked(story).decision, asked(story).doubts) == (Decision.APPROVED, ())


# What is said of the commit


@pytest.mark.parametrize("said", ["commit", "branch", "author", "subject"])
def test_no_release_json_states_another_commit_than_was_built(said: str) -> None:
    story = story_of(ADA)
    forged = story.application.build("one").model_copy(update={said: "Eve <eve@example.org>"})

    assert story.machines.release(forged, "execution") == "failed"

    assert story.get(1).error == "ArtifactError"
    assert f"was built from the {said}" in story.get(1).cause
    assert '"Eve <eve@example.org>" was announced' in story.get(1).cause
    assert not story.items(1, "STAGE#")


def test_no_artifact_leaves_open_who_wrote_it() -> None:
    story = story_of(ADA)
    forged = without_revision(story, story.application.build("one"))

    assert story.machines.release(forged, "execution") == "failed"
    assert "does not say which commit" in story.get(1).cause
    assert read_contents(story.world.artifacts, forged).revision is None  # for a restore to it


def without_revision(story: Story, built: ArtifactRef) -> ArtifactRef:
    """What an older Tidegate stored, with a release.json that says what it likes."""
    key = f"{built.prefix}/{CONTENTS_FILE}"
    contents = ArtifactContents.model_validate_json(story.world.artifacts.read(BUCKET, key))
    old = contents.model_copy(update={"revision": None})
    version = story.world.artifacts.keep(BUCKET, key, old.model_dump_json().encode())
    versions = {BUCKET: {**built.versions[BUCKET], key: version}}
    return built.model_copy(
        update={"digest": old.digest(), "versions": versions, "author": "Eve <eve@example.org>"}
    )


def commit(folder: Path, *, author: str = "Ada") -> str:
    by = f"{author} <x@example.com>"
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "x", "--author", by)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Two commits, of which a pipeline has fetched the second."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path, author="Grace")
    commit(tmp_path)
    git(tmp_path, "checkout", "--quiet", "--detach")
    return tmp_path


Environment = dict[str, str]


@pytest.mark.parametrize(
    "forge",
    [
        lambda other: ({"TIDEGATE_COMMIT": other}, {}),
        lambda other: ({"CODEBUILD_RESOLVED_SOURCE_VERSION": other}, {}),
        lambda other: ({}, {"commit": other}),
        lambda _: ({"TIDEGATE_COMMIT": "c0ffee"}, {}),
        lambda _: ({}, {"commit": "--all"}),
    ],
)
def test_no_commit_is_stated_but_the_one_that_is_checked_out(
    checkout: Path, forge: Callable[[str], tuple[Environment, Environment]]
) -> None:
    environment, options = forge(git(checkout, "rev-parse", "HEAD~1"))
    with pytest.raises(InputError, match="checked out, and the commit to build is"):
        find_revision(checkout, environment, **options)


def test_no_other_commit_is_built_than_the_pipeline_fetched(checkout: Path) -> None:
    pipeline = {"TIDEGATE_COMMIT": git(checkout, "rev-parse", "HEAD"), "TIDEGATE_BRANCH": "main"}
    git(checkout, "checkout", "--quiet", "HEAD~1")
    for forged in ({}, {"commit": git(checkout, "rev-parse", "HEAD")}):
        with pytest.raises(InputError, match=pipeline["TIDEGATE_COMMIT"]):
            find_revision(checkout, pipeline, **forged)


@pytest.mark.parametrize("way", ["replace", "graft"])
def test_no_other_author_or_past_is_put_in_the_place_of_a_commit(checkout: Path, way: str) -> None:
    before = find_revision(checkout, {})
    other = git(checkout, "commit-tree", "HEAD^{tree}", "-m", "x")
    if way == "replace":
        git(checkout, "replace", before.commit, other)
    else:
        (checkout / ".git" / "info" / "grafts").write_text(f"{before.commit}\n")
    shown = git(checkout, "log", "--format=%an")
    assert "Grace" not in shown  # as anybody's git tells it

    assert find_revision(checkout, {}) == before


def test_no_option_or_variable_of_a_build_states_another_branch_or_author(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    pipeline = {"TIDEGATE_COMMIT": head, "TIDEGATE_BRANCH": "main"}
    forged = {
        "CODEBUILD_RESOLVED_SOURCE_VERSION": git(checkout, "rev-parse", "HEAD~1"),
        "TIDEGATE_AUTHOR": "Eve <eve@example.org>",
        "TIDEGATE_SUBJECT": "Nothing to see",
    }
    git(checkout, "checkout", "--quiet", "-b", "forged")

    built = find_revision(
        checkout, {**forged, **pipeline}, branch="release", author="Eve", subject="Nothing"
    )

    assert (built.commit, built.branch) == (head, "main")
    assert (built.author, built.subject) == ("Ada <x@example.com>", "x")
