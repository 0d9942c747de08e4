"""The words that people are sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tidegate.core.insight.notice import trigger_of, write_notice
from tidegate.core.model.plan import ArtifactRef, Target, Trigger
from tidegate.core.model.record import (
    Approval,
    Decision,
    Release,
    ReleasePhase,
    Restored,
    Rollout,
    RolloutPhase,
    SecurityLine,
    Shift,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROD = Target(
    account="333333333333",
    region="eu-west-1",
    role_arn="arn:aws:iam::333333333333:role/tidegate-target",
    stack_name="shop-prod",
)


def release(**artifact: str) -> Release:
    return Release(
        application="shop",
        number=4,
        phase=ReleasePhase.PROGRESSING,
        artifact=ArtifactRef(
            application="shop", digest="sha256:0", bucket="b", prefix="p", commit="c0ffee1234",
            **artifact,
        ),
        execution_arn="execution",
        started_at=NOON,
    )  # fmt: skip


def rollout(phase: RolloutPhase, **said: Any) -> Rollout:
    shift = Shift(function="shop-prod-Cart", alias="live", stable="3", candidate="4")
    return Rollout(
        release_id="shop-4", stage="prod", target=PROD.id, phase=phase, shifts=(shift,),
        started_at=NOON, **said,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("phase", "error", "trigger"),
    [
        (RolloutPhase.DEPLOYING, "", Trigger.START),
        (RolloutPhase.SHIFTING, "", None),
        (RolloutPhase.SUCCEEDED, "", Trigger.SUCCESS),
        (RolloutPhase.RESTORING, "Aborted", Trigger.ROLLBACK),
        (RolloutPhase.RESTORED, "Unhealthy", Trigger.FAILURE),
        (RolloutPhase.RESTORED, "Aborted", Trigger.STOP),
        (RolloutPhase.RESTORED, "Superseded", Trigger.STOP),
        (RolloutPhase.STUCK, "Aborted", Trigger.FAILURE),
    ],
)
def test_each_phase_is_the_occasion_that_codedeploy_would_have_had(
    phase: RolloutPhase, error: str, trigger: Trigger | None
) -> None:
    assert trigger_of(phase, error) is trigger


def test_says_what_is_known_of_the_commit_and_no_more() -> None:
    notice = write_notice(Trigger.START, release(), "prod", PROD, None)
    assert notice.text.splitlines() == [
        "shop-4 is being deployed to prod, 333333333333/eu-west-1 (stack shop-prod).",
        "Commit c0ffee1.",
        "Next: tidegate get shop-4 --watch",
    ]


def test_says_what_is_opened_before_all_else_and_how_much_more() -> None:
    opened = [SecurityLine(logical_id=f"P{n}", what="lets everybody call it") for n in range(22)]
    notice = write_notice(Trigger.READY, release(), "prod", PROD, None, security=opened)
    said = [line for line in notice.text.splitlines() if line.startswith("SECURITY")]
    assert said[0] == "SECURITY: P0 lets everybody call it."
    assert said[20:] == ["SECURITY: and 2 more, which the preview shows."]


def test_says_why_one_more_must_agree_while_people_are_asked() -> None:
    asked = Approval(
        release_id="shop-4", stage="prod", decision=Decision.PENDING, digest="sha256:1",
        approvers=1, doubts=("a commit names no author",), requested_at=NOON, deadline=NOON,
    )  # fmt: skip

    def lines(approval: Approval) -> list[str]:
        notice = write_notice(Trigger.READY, release(), "prod", PROD, None, approval=approval)
        return notice.text.splitlines()[2:-1]

    assert lines(asked) == [
        (
            "It is not certain who wrote this: one person more than the manifest asks must agree:"
            " a commit names no author."
        )
    ]
    assert lines(asked.model_copy(update={"decision": Decision.APPROVED})) == []
    assert lines(asked.model_copy(update={"doubts": ()})) == []


def test_says_what_moves_while_it_goes_back() -> None:
    going = rollout(RolloutPhase.RESTORING, error="Unhealthy")
    notice = write_notice(Trigger.ROLLBACK, release(subject="Add coupons"), "prod", PROD, going)
    assert notice.text.splitlines()[1:-1] == [
        "Commit c0ffee1: Add coupons",
        "shop-prod-Cart:live was moving from version 3 to 4.",
        "Why: Unhealthy",
    ]


def test_says_what_is_not_back() -> None:
    parts = (
        Restored(what="stack", back=True, how="as it was"),
        Restored(what="Table", back=False, how="it is empty"),
    )
    restored = rollout(RolloutPhase.RESTORED, error="Unhealthy", restored=parts)
    notice = write_notice(Trigger.FAILURE, release(), "prod", PROD, restored)
    assert "Not back as it was: Table, it is empty." in notice.text
    assert "as it was: stack" not in notice.text


def test_says_what_serves_once_it_is_live() -> None:
    notice = write_notice(Trigger.SUCCESS, release(), "prod", PROD, rollout(RolloutPhase.SUCCEEDED))
    assert "shop-prod-Cart:live serves version 4." in notice.text


def test_a_stuck_rollout_asks_for_a_person() -> None:
    stuck = rollout(RolloutPhase.STUCK, error="RestoreFailed", cause="AccessDenied.")
    notice = write_notice(Trigger.FAILURE, release(), "prod", PROD, stuck)
    assert notice.subject == "shop-4 is stuck in prod 333333333333/eu-west-1"
    assert notice.text.endswith("then tidegate unlock shop-4 --reason 'why'")


def test_fits_what_sns_takes() -> None:
    long = rollout(RolloutPhase.RESTORED, error="HookFailed", cause="x" * 300_000)
    named = release().model_copy(update={"application": "a" * 90})
    notice = write_notice(Trigger.FAILURE, named, "prod", PROD, long)
    assert len(notice.subject) < 100
    assert len(notice.text.encode()) < 256 * 1024
