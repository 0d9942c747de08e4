"""A stage from its beginning to its end: previewed, agreed to, settled. Rollouts lie between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypedDict

from tidegate.core import approval as approvals
from tidegate.core.artifact import ArtifactContents
from tidegate.core.authors import Authorship, authorship
from tidegate.core.errors import ArtifactError
from tidegate.core.failure import root_cause
from tidegate.core.gates import changed_gates
from tidegate.core.plan import ApprovalPlan, ReleasePlan, ReleaseRef, StagePlan
from tidegate.core.ports import Ledger, Ports
from tidegate.core.record import (
    Approval,
    Live,
    Plan,
    Preview,
    ReleasePhase,
    SecurityLine,
    Stage,
    StagePhase,
    release_partition,
)
from tidegate.core.security import no_comparison, opened
from tidegate.core.unheeded import unheeded
from tidegate.core.workflow.artifacts import check_packages, read_contents, read_template
from tidegate.core.workflow.baseline import firing_now, refuse_firing
from tidegate.core.workflow.ending import expire_approval
from tidegate.core.workflow.events import (
    tell_approval_requested,
    tell_release,
    tell_stage,
)
from tidegate.core.workflow.items import (
    find,
    heed_newer,
    heed_wishes,
    live_at,
    plan_of,
    put_over,
    release_of,
    require_lock,
    stage_plan,
)
from tidegate.core.workflow.previewing import (
    Prospect,
    make_preview,
    preview_warms,
    refuse_irreversible,
)
from tidegate.core.workflow.specs import (
    apart,
    deployed_spec,
    held_back,
    held_by_aliases,
    live_versions,
)
from tidegate.core.workflow.tokens import answer_approval, approval_purpose, keep_token


class Begun(TypedDict):
    """The targets of a stage, wave by wave."""

    waves: list[list[str]]


class Reviewed(TypedDict):
    """The targets that have something to deploy, and how long to ask people; 0 asks nobody."""

    waves: list[list[str]]
    approval_timeout_seconds: int


def begin_stage(ports: Ports, release: ReleaseRef, stage: str) -> Begun:
    """Enter the stage. Raises ``Aborted``, ``LockLost``."""
    require_lock(ports, release)
    heed_wishes(ports, release.id)
    heed_newer(ports, release.id)
    plan = stage_plan(plan_of(ports.ledger, release.id), stage)
    _progress(ports, release)
    if find_stage(ports.ledger, release, plan) is None:
        _enter(ports, release, _new_stage(ports, release, plan))
    return Begun(waves=[[target.id for target in wave] for wave in plan.waves])


def preview(ports: Ports, release: ReleaseRef, stage: str, target: str) -> dict[str, bool]:
    """Have CloudFormation compute what would change, and store it. Not ready: ask again.

    Raises ``ArtifactError``, ``ChangeSetFailed``, ``ChangeIrreversible``, ``AlarmsFiring``,
    ``StackBusy``, ``Aborted``.
    """
    heed_wishes(ports, release.id)
    heed_newer(ports, release.id)
    plan = plan_of(ports.ledger, release.id)
    where = stage_plan(plan, stage)
    there = where.target(target)
    world = ports.targets.open(there)
    contents = read_contents(ports.artifacts, plan.artifact)
    template = read_template(ports.artifacts, plan.artifact, contents)
    before = world.stacks.state(there.stack_name)
    pins = live_versions(plan.aliases, before, world.aliases)
    kept = held_by_aliases(plan.aliases, before, world.capacity)
    spec = deployed_spec(plan.artifact, contents, where, there, pins, held=kept)
    change_set = world.stacks.preview(spec, f"{release.id}-{stage}-preview")
    if change_set is None:
        return {"ready": False}
    prospect = Prospect(where, there, contents, template, spec, before, change_set)
    item = make_preview(world, release.id, prospect)
    if not item.change_set and apart(plan.aliases, before, pins):
        item = item.model_copy(update={"change_set": change_set.id})
    live = live_at(ports.ledger, release.application, where.name, there.id)
    seen = {
        "held": not item.change_set and held_back(plan.aliases, before),
        "firing": firing_now(world, where, before),
        "warms": preview_warms(world, prospect, live.provisioned if live else {}),
        "gates": _gates(ports, plan, where, live),
        "security": _security(ports, prospect, live),
        "unheeded": tuple(unheeded(contents.defaults_of(stage), where)),
    }
    made = put_over(ports.ledger, item.model_copy(update=seen))
    if where.forbid_irreversible:
        refuse_irreversible(made)
    if not (made.nothing_to_deploy or made.first_deployment):
        refuse_firing(where, target, made.firing)
    return {"ready": True}


def _gates(ports: Ports, plan: ReleasePlan, stage: StagePlan, live: Live | None) -> tuple[str, ...]:
    """Against the plan by which what is live was released, as long as the record has it."""
    then = ports.ledger.get(Plan, release_partition(live.release_id), "PLAN") if live else None
    return tuple(changed_gates(then.plan, plan, stage.name)) if then else ()


def _security(ports: Ports, prospect: Prospect, live: Live | None) -> tuple[SecurityLine, ...]:
    """Against the template that is live, as long as it is there; else all that this one opens."""
    if not prospect.changes:
        return ()
    after = prospect.deployment
    try:
        before = _live_template(ports, live) if live else None
    except ArtifactError:
        before = None
    if before is None:
        unseen = not prospect.change_set.first_deployment
        return tuple(opened(after, None)) + ((no_comparison(after),) if unseen else ())
    then = replace(after, template=before, parameters=prospect.before.parameters)
    return tuple(opened(after, then))


def _live_template(ports: Ports, live: Live) -> Mapping[str, Any]:
    """Raises ``ArtifactError`` when it is gone, or another."""
    contents = read_contents(ports.artifacts, live.artifact)
    return read_template(ports.artifacts, live.artifact, contents)


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


def settle_stage(
    ports: Ports, release: ReleaseRef, stage: str, failure: Mapping[str, str] | None
) -> dict[str, str]:
    """End the stage; an approval that is still pending has expired."""
    plan = stage_plan(plan_of(ports.ledger, release.id), stage)
    expire_approval(ports, release, stage)
    item = find_stage(ports.ledger, release, plan) or _new_stage(ports, release, plan)
    if item.ended_at is None:
        item = ports.ledger.put(_ended(ports, item, failure))
    tell_stage(ports.bus, release, item)
    return {"phase": item.phase}


def find_stage(ledger: Ledger, release: ReleaseRef, plan: StagePlan) -> Stage | None:
    """The stage's item, if it has begun."""
    return find(ledger, Stage, release_id=release.id, order=plan.order, name=plan.name)


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
    return authorship(contents.revision, _live_commits(ports, release, stage))


def begin_rolling_out(ports: Ports, release: ReleaseRef, plan: StagePlan) -> None:
    """The stage's rollouts run from now on."""
    for earlier in (StagePhase.PREVIEWING, StagePhase.AWAITING_APPROVAL):
        _move(ports, release, plan, earlier, StagePhase.ROLLING_OUT)


def _progress(ports: Ports, ref: ReleaseRef) -> None:
    release = release_of(ports.ledger, ref)
    if release.phase is ReleasePhase.TESTING:
        moved = ports.ledger.put(release.model_copy(update={"phase": ReleasePhase.PROGRESSING}))
        tell_release(ports.bus, moved)


def _new_stage(ports: Ports, release: ReleaseRef, plan: StagePlan) -> Stage:
    return Stage(
        release_id=release.id,
        name=plan.name,
        order=plan.order,
        phase=StagePhase.PREVIEWING,
        started_at=ports.clock.now(),
    )


def _enter(ports: Ports, release: ReleaseRef, stage: Stage) -> None:
    tell_stage(ports.bus, release, ports.ledger.put(stage))


def _move(
    ports: Ports, release: ReleaseRef, plan: StagePlan, before: StagePhase, after: StagePhase
) -> None:
    stage = find_stage(ports.ledger, release, plan)
    if stage and stage.phase is before:
        _enter(ports, release, stage.model_copy(update={"phase": after}))


def _ended(ports: Ports, stage: Stage, failure: Mapping[str, str] | None) -> Stage:
    why = root_cause(failure) if failure else None
    ended = {
        "phase": StagePhase.FAILED if why else StagePhase.SUCCEEDED,
        "ended_at": ports.clock.now(),
        "error": why.error if why else "",
        "cause": why.cause if why else "",
    }
    return stage.model_copy(update=ended)


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
    tell_approval_requested(ports.bus, release, approval)
    return approval


def _live_commits(ports: Ports, release: ReleaseRef, stage: StagePlan) -> dict[str, str]:
    """The commit that each target of the stage serves; "" before its first release."""
    targets = [target.id for wave in stage.waves for target in wave]
    live = {id_: live_at(ports.ledger, release.application, stage.name, id_) for id_ in targets}
    return {id_: item.artifact.commit if item else "" for id_, item in live.items()}
