"""A release of a small shop in the moments that people look at it, as items of the record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tidegate.core.model.plan import (
    ApprovalPlan,
    ArtifactRef,
    ReleasePlan,
    ReleaseRef,
    StagePlan,
    Step,
    StrategyPlan,
    Target,
    TestPlan,
)
from tidegate.core.model.record import (
    Approval,
    ChangeLine,
    Decision,
    HookRun,
    Item,
    Judgement,
    Outcome,
    Plan,
    Preview,
    Release,
    ReleasePhase,
    Rollout,
    RolloutPhase,
    Shift,
    StackLine,
    StackLog,
    Stage,
    StagePhase,
    TestRun,
    Verdict,
    Vote,
)

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TEST = "222222222222/eu-west-1"
PROD = "333333333333/eu-west-1"
ANA = "arn:aws:sts::333333333333:assumed-role/Admin/ana"


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def artifact(number: int = 7) -> ArtifactRef:
    return ArtifactRef(
        application="shop",
        digest=f"sha256:{number:064x}",
        bucket="artifacts",
        prefix="applications/shop/artifacts/7",
        commit=f"{number:07x}b4fd0c",
        branch="main",
        author="maria",
        subject="Add coupons",
    )


def release(
    phase: ReleasePhase = ReleasePhase.PROGRESSING,
    *,
    number: int = 7,
    error: str = "",
    cause: str = "",
    started: float = 0,
    ended: float | None = None,
) -> Release:
    return Release(
        application="shop",
        number=number,
        phase=phase,
        artifact=artifact(number),
        execution_arn="arn:aws:states:eu-west-1:111111111111:execution:release:x",
        started_at=at(started),
        ended_at=None if ended is None else at(ended),
        error=error,
        cause=cause,
    )


def plan(number: int = 7) -> Plan:
    return Plan(
        plan=ReleasePlan(
            release=ReleaseRef(id=f"shop-{number}", application="shop", number=number),
            artifact=artifact(number),
            aliases=(),
            tests=tuple(
                TestPlan(name=name, project="shop-tests", buildspec="") for name in ("unit", "scan")
            ),
            stages=(
                stage_plan("test", 0, TEST, StrategyPlan(name="all-at-once")),
                stage_plan(
                    "prod",
                    1,
                    PROD,
                    StrategyPlan(
                        name="canary",
                        steps=(
                            Step(weight=0.1, bake_seconds=300),
                            Step(weight=0.5, bake_seconds=300),
                        ),
                    ),
                    approval=ApprovalPlan(),
                ),
            ),
        )
    )


def stage_plan(
    name: str,
    order: int,
    target_id: str,
    strategy: StrategyPlan,
    approval: ApprovalPlan | None = None,
) -> StagePlan:
    account, region = target_id.split("/")
    target = Target(
        account=account,
        region=region,
        role_arn=f"arn:aws:iam::{account}:role/tidegate-target",
        stack_name=f"shop-{name}",
    )
    return StagePlan(
        name=name, order=order, waves=((target,),), strategy=strategy, approval=approval
    )


def results(*, scan: Outcome = Outcome.PASSED, release_id: str = "shop-7") -> list[Item]:
    failed = scan is Outcome.FAILED
    return [
        TestRun(release_id=release_id, name="unit", outcome=Outcome.PASSED, seconds=12),
        TestRun(
            release_id=release_id,
            name="scan",
            outcome=scan,
            seconds=8.24,
            cause="exit status 1" if failed else "",
        ),
    ]


def stage(
    name: str,
    phase: StagePhase,
    *,
    started: float = 1,
    ended: float | None = None,
    error: str = "",
    cause: str = "",
) -> Stage:
    return Stage(
        release_id="shop-7",
        name=name,
        order=0 if name == "test" else 1,
        phase=phase,
        started_at=at(started),
        ended_at=None if ended is None else at(ended),
        error=error,
        cause=cause,
    )


def preview() -> Preview:
    return Preview(
        release_id="shop-7",
        stage="prod",
        target=PROD,
        digest="sha256:1",
        changes=(
            ChangeLine(
                logical_id="Orders",
                type="AWS::Lambda::Function",
                change="Modify",
                properties=("Code",),
            ),
            ChangeLine(
                logical_id="Table",
                type="AWS::DynamoDB::Table",
                change="Replace",
                irreversible="a new, empty one takes its place",
            ),
        ),
    )


def approval(
    decision: Decision = Decision.PENDING, *, votes: Sequence[Vote] = (), release_id: str = "shop-7"
) -> Approval:
    return Approval(
        release_id=release_id,
        stage="prod",
        decision=decision,
        digest="sha256:2",
        approvers=1,
        authors=("maria",),
        requested_at=at(3),
        deadline=at(3 + 60),
        votes=tuple(votes),
    )


def yes(who: str = ANA, *, minute: float = 5) -> Vote:
    return Vote(who=who, approve=True, at=at(minute))


def no(reason: str, who: str = ANA) -> Vote:
    return Vote(who=who, approve=False, reason=reason, at=at(5))


def rollout(
    stage_name: str = "prod",
    phase: RolloutPhase = RolloutPhase.SHIFTING,
    *,
    weight: float = 0.1,
    step: int = 0,
    step_started: float | None = 8,
    started: float = 6,
    ended: float | None = None,
    verdict: Verdict | None = None,
    error: str = "",
    cause: str = "",
    first_deployment: bool = False,
    all_at_once: str = "",
    release_id: str = "shop-7",
) -> Rollout:
    return Rollout(
        release_id=release_id,
        stage=stage_name,
        target=TEST if stage_name == "test" else PROD,
        phase=phase,
        shifts=(
            Shift(
                function=f"shop-{stage_name}-Orders-1A2B3C4D5E6F",
                alias="live",
                stable="3",
                candidate="4",
            ),
        ),
        weight=weight,
        step=step,
        step_started_at=None if step_started is None else at(step_started),
        verdict=verdict,
        started_at=at(started),
        ended_at=None if ended is None else at(ended),
        error=error,
        cause=cause,
        first_deployment=first_deployment,
        all_at_once=all_at_once,
    )


def tested_rollout() -> Rollout:
    return rollout(
        "test", RolloutPhase.SUCCEEDED, weight=1.0, step=-1, step_started=None, started=1, ended=2
    )


def hook(
    outcome: Outcome = Outcome.PASSED, *, when: str = "pre-traffic", cause: str = ""
) -> HookRun:
    return HookRun(
        release_id="shop-7",
        stage="prod",
        target=PROD,
        when=when,
        function="Smoke" if when == "pre-traffic" else "Check",
        outcome=outcome,
        seconds=0.41,
        cause=cause,
    )


def stack_line(logical_id: str, status: str, reason: str = "") -> StackLine:
    return StackLine(
        id=f"{logical_id}-{status}",
        at=at(6),
        logical_id=logical_id,
        type="AWS::Lambda::Function",
        status=status,
        reason=reason,
    )


def stack_log(
    status: str = "UPDATE_IN_PROGRESS",
    *,
    operation: str = "deploy",
    under_way: Sequence[StackLine] = (),
    failures: Sequence[StackLine] = (),
    unread: str = "",
    since: float = 6,
) -> StackLog:
    return StackLog(
        release_id="shop-7",
        stage="prod",
        target=PROD,
        operation=operation,
        since=at(since),
        status=status,
        under_way=tuple(under_way),
        failures=tuple(failures),
        unread=unread,
    )


UNHEALTHY = Verdict(
    judgement=Judgement.UNHEALTHY,
    reasons=(
        (
            "candidate fails 21 of 104 (20.2 %), stable 1 of 950 (0.1 %):"
            " 20.1 points more, 5.0 allowed"
        ),
    ),
    stable_invocations=950,
    stable_errors=1,
    candidate_invocations=104,
    candidate_errors=21,
)
UNDECIDED = Verdict(
    judgement=Judgement.UNDECIDED,
    stable_invocations=120,
    candidate_invocations=14,
    candidate_errors=0,
)


def tested() -> list[Item]:
    """Until the end of stage test."""
    return [plan(), *results(), stage("test", StagePhase.SUCCEEDED, ended=2), tested_rollout()]


def asking() -> list[Item]:
    """Prod waits for a person."""
    prod = stage("prod", StagePhase.AWAITING_APPROVAL, started=3)
    return [*tested(), prod, preview(), approval()]


def shifting(verdict: Verdict = UNDECIDED) -> list[Item]:
    """Prod is at its first step."""
    return [
        *tested(),
        stage("prod", StagePhase.ROLLING_OUT, started=3),
        preview(),
        approval(Decision.APPROVED, votes=[yes()]),
        hook(),
        rollout(verdict=verdict),
    ]


def restored() -> list[Item]:
    """Prod went back: the candidate failed for users."""
    return [
        *tested(),
        stage("prod", StagePhase.FAILED, started=3, ended=10, error="Unhealthy"),
        approval(Decision.APPROVED, votes=[yes()]),
        hook(),
        rollout(
            phase=RolloutPhase.RESTORED, weight=0.0, ended=10, verdict=UNHEALTHY, error="Unhealthy"
        ),
    ]
