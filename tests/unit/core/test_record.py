"""Where items lie, when a phase is over, and how errors read."""

import inspect
from datetime import UTC, datetime

import pytest

from tidegate.core import errors
from tidegate.core.errors import ManifestError, StackFailed, TidegateError
from tidegate.core.model.plan import ArtifactRef, ReleasePlan, ReleaseRef
from tidegate.core.model.record import (
    Approval,
    Decision,
    Item,
    Lock,
    Plan,
    Release,
    ReleasePhase,
    RolloutPhase,
    Token,
    application_partition,
    parse_item,
    release_partition,
    token_partition,
)
from tidegate.core.ports import Counts, StackState

ARTIFACT = ArtifactRef(application="shop", digest="sha256:0", bucket="b", prefix="p", commit="c")
RELEASE = Release(
    application="shop",
    number=7,
    phase=ReleasePhase.TESTING,
    artifact=ARTIFACT,
    execution_arn="arn:x",
    started_at=datetime(2026, 3, 1, tzinfo=UTC),
)


def test_a_release_is_called_by_its_application_and_number() -> None:
    assert RELEASE.id == "shop-7"


def test_releases_sort_by_number_below_their_application() -> None:
    assert (RELEASE.partition, RELEASE.sort) == (application_partition("shop"), "RELEASE#00000007")


def test_all_that_belongs_to_a_release_lies_together() -> None:
    release = ReleaseRef(id="shop-7", application="shop", number=7)
    plan = Plan(
        plan=ReleasePlan(release=release, artifact=ARTIFACT, aliases=(), tests=(), stages=())
    )
    assert plan.partition == release_partition("shop-7")


def test_task_tokens_lie_apart_from_what_viewers_read() -> None:
    token = Token(release_id="shop-7", purpose="approval#prod", token="secret")
    assert token.partition == token_partition("shop-7") != release_partition("shop-7")


@pytest.mark.parametrize("item", [RELEASE, Lock(application="shop", owner="arn:x", fence=3)])
def test_an_item_comes_back_as_what_it_was(item: Item) -> None:
    assert parse_item(item.kind, item.model_dump(mode="json")) == item


def test_an_approval_of_an_earlier_tidegate_has_one_author() -> None:
    asked = Approval(
        release_id="shop-7",
        stage="prod",
        decision=Decision.PENDING,
        digest="sha256:1",
        approvers=1,
        authors=("Ada",),
        requested_at=RELEASE.started_at,
        deadline=RELEASE.started_at,
    )
    stored = asked.model_dump(mode="json", exclude={"authors", "doubts"}) | {"author": "Ada"}
    assert parse_item("approval", stored) == asked
    assert Approval.model_validate(asked) == asked


def test_a_token_is_not_shown_when_printed() -> None:
    assert "secret" not in repr(Token(release_id="r", purpose="bake", token="secret"))


@pytest.mark.parametrize("phase", ReleasePhase)
def test_a_release_is_over_unless_it_is_under_way(phase: ReleasePhase) -> None:
    assert phase.over == (phase not in {"queued", "testing", "progressing"})


@pytest.mark.parametrize("phase", RolloutPhase)
def test_a_rollout_is_over_when_it_ended_well_badly_or_not_at_all(phase: RolloutPhase) -> None:
    assert phase.over == (phase in {"succeeded", "restored", "stuck"})


@pytest.mark.parametrize(
    ("status", "busy"),
    [
        ("UPDATE_IN_PROGRESS", True),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", True),
        ("REVIEW_IN_PROGRESS", False),  # a stack that only has a change set yet
        ("UPDATE_COMPLETE", False),
        ("", False),
    ],
)
def test_a_stack_is_busy_while_an_operation_runs(status: str, busy: bool) -> None:
    assert StackState(exists=bool(status), status=status).busy == busy


def test_counts_add_up() -> None:
    assert Counts(3, 1) + Counts(4, 0) == Counts(7, 1)


def test_an_error_reads_as_cause_and_mend() -> None:
    assert str(StackFailed("It failed.", remedy="Fix it.")) == "It failed. Fix it."
    assert str(TidegateError("It failed.")) == "It failed."


def test_the_tree_of_errors_is_drawn_whole() -> None:
    drawn = {line.strip("│├└─ ").partition("  ")[0] for line in (errors.__doc__ or "").splitlines()}
    classes = (value for value in vars(errors).values() if inspect.isclass(value))
    assert {found.__name__ for found in classes if issubclass(found, TidegateError)} <= drawn


def test_a_manifest_error_without_a_line_names_the_file() -> None:
    assert str(ManifestError("it is unreadable.")) == "tidegate.yaml: it is unreadable."
