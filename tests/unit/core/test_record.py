"""Where items lie, when a phase is over, and how errors read."""

import inspect
from datetime import UTC, datetime, timedelta

import pytest

from tidegate.core import errors
from tidegate.core.errors import ManifestError, StackFailed, TidegateError
from tidegate.core.plan import ArtifactRef, ReleasePlan, ReleaseRef
from tidegate.core.ports import Counts, StackState
from tidegate.core.record import (
    HookLog,
    HookRun,
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
)

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


HOOK = {
    "release_id": "shop-7",
    "stage": "prod",
    "target": "333333333333/eu-west-1",
    "when": "pre-traffic",
    "function": "Smoke",
}


def test_a_hook_of_an_earlier_version_is_read_without_its_log() -> None:
    run = parse_item("hook", {**HOOK, "outcome": "passed", "log_tail": "password=hunter2"})
    assert isinstance(run, HookRun)
    assert "hunter2" not in run.model_dump_json()


@pytest.mark.parametrize(
    ("changed", "is_of"), [({}, True), ({"attempt": 2}, False), ({"when": "post-traffic"}, False)]
)
def test_a_log_is_of_the_run_that_wrote_it(changed: dict[str, object], is_of: bool) -> None:
    log = HookLog(**HOOK, attempt=1, tail="...", expires_at=0)
    run = HookRun.model_validate({**HOOK, "outcome": "passed", **changed})
    assert log.is_of(run) is is_of


def test_what_need_not_last_is_gone_at_its_time_and_all_else_stays() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    log = HookLog(**HOOK, attempt=1, tail="...", expires_at=int(now.timestamp()))
    assert log.expired(now)
    assert not log.expired(now - timedelta(seconds=1))
    assert not RELEASE.expired(now)


def test_all_that_belongs_to_a_release_lies_together() -> None:
    release = ReleaseRef(id="shop-7", application="shop", number=7)
    plan = Plan(
        plan=ReleasePlan(release=release, artifact=ARTIFACT, aliases=(), tests=(), stages=())
    )
    token = Token(release_id="shop-7", purpose="approval#prod", token="secret")
    assert plan.partition == token.partition == release_partition("shop-7")


@pytest.mark.parametrize("item", [RELEASE, Lock(application="shop", owner="arn:x", fence=3)])
def test_an_item_comes_back_as_what_it_was(item: Item) -> None:
    assert parse_item(item.kind, item.model_dump(mode="json")) == item


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
    assert str(StackFailed("It failed.", mend="Fix it.")) == "It failed. Fix it."
    assert str(TidegateError("It failed.")) == "It failed."


def test_the_tree_of_errors_is_drawn_whole() -> None:
    drawn = {line.strip("│├└─ ").partition("  ")[0] for line in (errors.__doc__ or "").splitlines()}
    classes = (value for value in vars(errors).values() if inspect.isclass(value))
    assert {found.__name__ for found in classes if issubclass(found, TidegateError)} <= drawn


def test_a_manifest_error_without_a_line_names_the_file() -> None:
    assert str(ManifestError("it is unreadable.")) == "tidegate.yaml: it is unreadable."
