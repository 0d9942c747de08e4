"""What people are asked of a stage, and what their answer is bound to."""

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict

from tidegate.core.approval import votes as approvals
from tidegate.core.approval.authors import Authorship, authorship
from tidegate.core.model.artifact import ArtifactContents
from tidegate.core.model.plan import ApprovalPlan, ReleasePlan, ReleaseRef, StagePlan
from tidegate.core.model.record import Approval, Preview, StagePhase, release_partition
from tidegate.core.ports import Ledger, Ports
from tidegate.core.workflow.events import publish_approval_requested
from tidegate.core.workflow.records import find, plan_of, stage_plan
from tidegate.core.workflow.release.artifacts import check_packages, read_contents, read_template
from tidegate.core.workflow.stage.begin import enter, find_stage
from tidegate.core.workflow.stage.preview import live_commits
from tidegate.core.workflow.task_tokens import answer_approval, approval_purpose, keep_token


class Reviewed(TypedDict):
    """The targets that have something to deploy, and how long to ask people; 0 asks nobody."""

    waves: list[list[str]]
    approval_timeout_seconds: int


def review(ports: Ports, release: ReleaseRef, stage: str) -> Reviewed:
    """Which targets have something to deploy, and whether people must agree to it."""
    plan = stage_plan(plan_of(ports.ledger, release.id), stage)
    previews = previews_of(ports.ledger, release.id, stage)
    changing = {p.target for p in previews if not p.nothing_to_deploy}
    waves = [[target.id for target in wave if target.id in changing] for wave in plan.waves]
    waves = [wave for wave in waves if wave]
    timeout = plan.approval.timeout_seconds if plan.approval and waves else 0
    if waves and not timeout:
        begin_rolling_out(ports, release, plan)
    return Reviewed(waves=waves, approval_timeout_seconds=timeout)


def request_approval(ports: Ports, release: ReleaseRef, stage: str, token: str) -> None:
    """Ask people to agree to what the previews show; the token is answered when they have.

    Repeated with another token, that one takes the place of the first; a request that is already
    decided, or a release that is to be aborted, answers it at once. Raises ``ArtifactError``.
    """
    plan = plan_of(ports.ledger, release.id)
    where = stage_plan(plan, stage)
    approval = find(ports.ledger, Approval, release_id=release.id, stage=stage)
    if approval is None:
        approval = _request(ports, release, plan, where)
    until = approval.deadline + timedelta(days=1)
    keep_token(ports, release.id, approval_purpose(stage), token, until)
    _move(ports, release, where, StagePhase.PREVIEWING, StagePhase.AWAITING_APPROVAL)
    answer_approval(ports, release.id, stage)


def previews_of(ledger: Ledger, release_id: str, stage: str) -> list[Preview]:
    """What was computed for each target of the stage."""
    items = ledger.query(release_partition(release_id), f"PREVIEW#{stage}#")
    return [item for item in items if isinstance(item, Preview)]


def bound_now(ports: Ports, plan: ReleasePlan, stage: str) -> str:
    """The digest that an approval of this stage binds to, as the record stands."""
    return approvals.bound_digest(
        plan.artifact.digest, previews_of(ports.ledger, plan.release.id, stage)
    )


def who_wrote(
    ports: Ports, release: ReleaseRef, stage: StagePlan, contents: ArtifactContents
) -> Authorship:
    """Who wrote what the artifact brings beyond what the stage serves."""
    return authorship(contents.revision, live_commits(ports, release, stage))


def begin_rolling_out(ports: Ports, release: ReleaseRef, plan: StagePlan) -> None:
    """The stage's rollouts run from now on."""
    for earlier in (StagePhase.PREVIEWING, StagePhase.AWAITING_APPROVAL):
        _move(ports, release, plan, earlier, StagePhase.ROLLING_OUT)


def _move(
    ports: Ports, release: ReleaseRef, plan: StagePlan, before: StagePhase, after: StagePhase
) -> None:
    stage = find_stage(ports.ledger, release, plan)
    if stage and stage.phase is before:
        enter(ports, release, stage.model_copy(update={"phase": after}))


def _request(ports: Ports, release: ReleaseRef, plan: ReleasePlan, stage: StagePlan) -> Approval:
    """Ask, if what people are shown still lies where it would be taken from."""
    contents = read_contents(ports.artifacts, plan.artifact)
    read_template(ports.artifacts, plan.artifact, contents)
    regions = [target.region for wave in stage.waves for target in wave]
    check_packages(ports.artifacts, plan.artifact, contents, regions)
    approval = approvals.request(
        release.id,
        stage.name,
        stage.approval or ApprovalPlan(),
        digest=bound_now(ports, plan, stage.name),
        written=who_wrote(ports, release, stage, contents),
        now=ports.clock.now(),
    )
    approval = ports.ledger.put(approval)
    publish_approval_requested(ports.bus, release, approval)
    return approval
