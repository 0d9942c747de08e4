"""The stack's part of a rollout: deploy with the aliases held, and take the hold off in the end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, TypedDict

from tidegate.core import approval as approvals
from tidegate.core.commands import command
from tidegate.core.errors import (
    ApprovalVoid,
    ChangeSetStale,
    FinishFailed,
    LockLost,
    NotCanaryable,
    StackFailed,
)
from tidegate.core.plan import ManagedAlias, WhenNotCanaryable
from tidegate.core.planning import make_plan
from tidegate.core.ports import Change, ChangeSet, Ports, ResourceChange, StackState
from tidegate.core.record import (
    Approval,
    Decision,
    Rollout,
    RolloutPhase,
    Shift,
)
from tidegate.core.stack_status import TAKEN_BACK, mend
from tidegate.core.workflow.artifacts import check_packages, read_contents, read_template
from tidegate.core.workflow.code import candidate_version, check_code
from tidegate.core.workflow.follow import follow
from tidegate.core.workflow.items import (
    find,
    heed_newer,
    heed_wishes,
    require_lock,
)
from tidegate.core.workflow.live import succeed
from tidegate.core.workflow.retrying import may_pass, when_due
from tidegate.core.workflow.routing import alias_ref, bring, foreign
from tidegate.core.workflow.scene import (
    RolloutRef,
    Scene,
    check_fence,
    open_scene,
    refuse_foreign,
)
from tidegate.core.workflow.specs import deployed_spec, pins_in_force
from tidegate.core.workflow.stage import begin_rolling_out, bound_now, who_wrote
from tidegate.core.workflow.warm import find_warms

_NOT_WITH_WEIGHTS = "which cannot be changed while it has weights"
_DEPLOYED = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
# What of an alias Tidegate holds by parameters while it shifts.
_HELD = {"FunctionVersion", "ProvisionedConcurrencyConfig"}


class Candidates(TypedDict):
    """The hooks to run before and after the traffic moves."""

    pre_traffic: list[str]
    post_traffic: list[str]


def deploy(ports: Ports, ref: RolloutRef, execution: str = "") -> dict[str, bool]:
    """Hand the change set to CloudFormation, once, and say whether it is through.

    What was deployed and looked at before stays so, whatever became of the stack since.
    Raises ``ApprovalVoid``, ``ArtifactError``, ``ChangeSetStale``, ``StackFailed``, ``Aborted``,
    ``LockLost``.
    """
    scene = open_scene(ports, ref)
    rollout = scene.rollout() or _begin(scene, execution)
    if rollout.phase is not RolloutPhase.DEPLOYING:
        return {"done": True}
    if not rollout.executed:
        check_fence(scene, rollout)
        _execute(scene, rollout)
        return {"done": False}
    state = scene.state()
    follow(scene, "deploy")
    if state.busy:
        return {"done": False}
    if state.status not in _DEPLOYED:
        raise StackFailed(
            f"{scene.target.stack_name} is {state.status}: {state.reason}", mend=mend(state.status)
        )
    return {"done": True}


def find_candidates(ports: Ports, ref: RolloutRef) -> Candidates:
    """Learn which aliases are to move from which version to which, and store it.

    Raises ``CodeMismatch`` when a function runs other bytes than were built, ``NotCanaryable``,
    ``AliasChangedByOthers``, ``Aborted``.
    """
    scene = open_scene(ports, ref)
    heed_wishes(ports, ref.release.id)
    rollout = scene.require_rollout()
    if rollout.phase is RolloutPhase.DEPLOYING:
        state = scene.state()
        code = check_code(scene, state)
        shifts = _shifts(scene, state)
        rollout = scene.note(
            rollout,
            code=code,
            candidates=_candidates(scene, state),
            shifts=shifts,
            warms=find_warms(scene, shifts, state),
        )
        refuse_foreign(scene, rollout, foreign(scene.world.aliases, rollout.shifts, [0.0]))
        why = _why_all_at_once(scene, rollout)
        scene.save(rollout, phase=RolloutPhase.VALIDATING, all_at_once=why, foreign="")
    return Candidates(
        pre_traffic=[hook.function for hook in scene.stage.pre_traffic],
        post_traffic=[hook.function for hook in scene.stage.post_traffic],
    )


def finish(ports: Ports, ref: RolloutRef) -> dict[str, bool]:
    """Take the pins off the stack, now that the aliases are where its template wants them.

    Nothing else may change with them: CloudFormation says so before it is asked to, and in the end
    every alias serves the candidate that was validated. An update that CloudFormation takes back is
    begun again, for some ten minutes.
    Raises ``FinishFailed``: the candidate is validated and keeps all traffic, whatever the stack
    does. ``ArtifactError`` for another template than was built, ``AliasChangedByOthers``,
    ``LockLost`` when it goes back by now, ``StackBusy``.
    """
    scene = open_scene(ports, ref)
    rollout = scene.require_rollout()
    if rollout.phase is RolloutPhase.SUCCEEDED:
        return {"done": True}
    if rollout.phase not in {RolloutPhase.VERIFYING, RolloutPhase.FINISHING}:
        raise LockLost(
            f"{ref.release.id} is {rollout.phase} at {scene.place}, and does not finish any more.",
            mend="Its execution ended, and the guardian makes the traffic safe.",
        )
    rollout = scene.save(rollout, phase=RolloutPhase.FINISHING)
    state = scene.state()
    follow(scene, "finish", rollout.retries)
    if state.busy or (_pinned(scene, state) and _unpin(scene, rollout, state)):
        return {"done": False}
    refuse_foreign(scene, rollout, _not_on_candidates(scene, rollout))
    succeed(scene, rollout)
    return {"done": True}


def _begin(scene: Scene, execution: str) -> Rollout:
    """Check once more that this may be deployed, and open the rollout's record."""
    lock = require_lock(scene.ports, scene.ref.release)
    heed_wishes(scene.ports, scene.ref.release.id)
    heed_newer(scene.ports, scene.ref.release.id)
    _require_approval(scene)
    begin_rolling_out(scene.ports, scene.ref.release, scene.stage)
    rollout = scene.ports.ledger.put(
        Rollout(
            release_id=scene.ref.release.id,
            stage=scene.ref.stage,
            target=scene.ref.target,
            phase=RolloutPhase.DEPLOYING,
            execution_arn=execution,
            fence=lock.fence,
            first_deployment=scene.require_preview().first_deployment,
            started_at=scene.ports.clock.now(),
        )
    )
    scene.tell(rollout)
    return rollout


def _require_approval(scene: Scene) -> None:
    """Raises ``ApprovalVoid`` unless people agreed to what would be deployed, and are on record."""
    contents = read_contents(scene.ports.artifacts, scene.plan.artifact)
    plan = make_plan(scene.ref.release, scene.plan.artifact, contents)
    asked = plan.stage(scene.ref.stage)
    if asked.approval is None:
        return
    release, stage = scene.ref.release.id, scene.ref.stage
    approval = find(scene.ports.ledger, Approval, release_id=release, stage=stage)
    if approval is None or approval.decision is not Decision.APPROVED:
        raise ApprovalVoid(f"{stage} of {release} was not approved.")
    bound = bound_now(scene.ports, scene.plan, stage)
    if bound != approval.digest:
        raise ApprovalVoid(
            f"{stage} of {release} would deploy {bound}, and {approval.digest} was approved.",
            mend="Release the commit again to have the present changes approved.",
        )
    written = who_wrote(scene.ports, scene.ref.release, asked, contents)
    approvals.recount(approval, asked.approval, written, scene.ports.seals.holds)


def _execute(scene: Scene, rollout: Rollout) -> None:
    """Hand the change set over, if CloudFormation and Lambda would take what was built."""
    artifacts, artifact = scene.ports.artifacts, scene.plan.artifact
    contents = read_contents(artifacts, artifact)
    read_template(artifacts, artifact, contents)
    check_packages(artifacts, artifact, contents, [scene.target.region])
    tried = rollout.executing
    if not tried:
        rollout = scene.note(rollout, executing=True)
    preview = scene.require_preview()
    try:
        if preview.change_set:
            scene.world.stacks.execute(preview.change_set, scene.token("deploy"))
    except ChangeSetStale:
        if not tried:
            scene.note(rollout, executing=False)
        raise
    scene.note(rollout, executed=True)


def _candidates(scene: Scene, state: StackState) -> dict[str, str]:
    """What each managed alias of the stack is to serve in the end."""
    return {
        f"{alias_ref(alias, state).function}:{alias.alias}": candidate_version(alias, state)
        for alias in scene.plan.aliases
        if alias.alias_logical_id in state.resources
    }


def _not_on_candidates(scene: Scene, rollout: Rollout) -> list[str]:
    """The aliases that do not serve, alone, what was found after the deployment."""
    wanted = [
        Shift(
            function=name.rpartition(":")[0], alias=name.rpartition(":")[2], stable=v, candidate=v
        )
        for name, v in rollout.candidates.items()
    ]
    return foreign(scene.world.aliases, wanted, [1.0])


def _shifts(scene: Scene, state: StackState) -> tuple[Shift, ...]:
    """The aliases that are held on another version than the candidate."""
    pins = pins_in_force(scene.plan.aliases, state)
    shifts = (
        _shift(alias, state, pins[alias.pin_parameter])
        for alias in scene.plan.aliases
        if alias.pin_parameter in pins
    )
    return tuple(shift for shift in shifts if shift.stable != shift.candidate)


def _shift(alias: ManagedAlias, state: StackState, stable: str) -> Shift:
    return Shift(
        function=alias_ref(alias, state).function,
        alias=alias.alias,
        stable=stable,
        candidate=candidate_version(alias, state),
    )


def _why_all_at_once(scene: Scene, rollout: Rollout) -> str:
    """Why the steps must be skipped, "" when they need not. Raises ``NotCanaryable``."""
    if not scene.stage.strategy.splits:
        return ""
    blockers = [
        f"{shift.function}: {blocker}"
        for shift in rollout.shifts
        for blocker in scene.world.functions.canary_blockers(
            shift.function, shift.stable, shift.candidate
        )
    ]
    blockers += [
        f"{warm.function}: its alias has provisioned concurrency itself, {_NOT_WITH_WEIGHTS}"
        for warm in rollout.warms
        if warm.by_alias and warm.stable != warm.candidate
    ]
    why = "; ".join(blockers)
    if blockers and scene.stage.when_not_canaryable is WhenNotCanaryable.REFUSE:
        raise NotCanaryable(
            f"A weighted alias cannot serve both versions: {why}.",
            mend="Release that change alone with `when_not_canaryable: all-at-once`.",
        )
    return why


def _pinned(scene: Scene, state: StackState) -> bool:
    return bool(pins_in_force(scene.plan.aliases, state))


def _unpin(scene: Scene, rollout: Rollout, state: StackState) -> bool:
    """Go on to take the pins off, now or later; False when there is nothing to take off."""
    if state.status not in _DEPLOYED:
        _keep_candidates(scene, rollout)
        due = _next_attempt(scene, rollout, state)
        if due is None:
            return True
        rollout = due
    contents = read_contents(scene.ports.artifacts, scene.plan.artifact)
    template = read_template(scene.ports.artifacts, scene.plan.artifact, contents)
    spec = deployed_spec(scene.plan.artifact, contents, scene.stage, scene.target, pins={})
    token = scene.token("finish", rollout.retries)
    change_set = scene.world.stacks.preview(spec, token)
    if change_set is None:
        return True
    if more := list(_beyond_pins(scene, template, change_set)):
        raise FinishFailed(
            f"Taking the pins off {scene.target.stack_name} would change more than them:"
            f" {'; '.join(more)}. It was not done: the validated candidate keeps all traffic.",
            mend="Find out who changed the stack, or what it depends on, since it was deployed;"
            f" mend it, then `{command('unlock', scene.ref.release.id)}`.",
        )
    if not change_set.changes:
        return False
    scene.note(rollout, unpinning=rollout.retries + 1)
    scene.world.stacks.execute(change_set.id, token)
    return True


def _next_attempt(scene: Scene, rollout: Rollout, state: StackState) -> Rollout | None:
    """The rollout that may go on with the stack as it is; None when it is to wait.

    Raises ``FinishFailed``. What was taken back may have been somebody else's update, not ours.
    """
    ours = rollout.unpinning > rollout.retries
    if state.status in TAKEN_BACK and not ours:
        return rollout
    if not may_pass(rollout, state):
        raise FinishFailed(
            f"{scene.target.stack_name} is {state.status}: {state.reason} "
            f"The validated candidate keeps all traffic.",
            mend=f"Mend the stack, then `{command('unlock', scene.ref.release.id)}`.",
        )
    return when_due(scene, rollout)


def _beyond_pins(scene: Scene, template: Mapping[str, Any], change_set: ChangeSet) -> Iterator[str]:
    """The changes that are more than an alias being told what it already serves.

    CloudFormation lists with it whatever refers to it, and what refers to that, though the names
    and ARNs stay what they are: as modified, and perhaps to be replaced.
    """
    managed = {alias.alias_logical_id for alias in scene.plan.aliases}
    rest = [c for c in change_set.changes if not _is_unpinned(c, managed)]
    same = set(managed)
    while following := [c for c in rest if _follows(template, c, same)]:
        same |= {change.logical_id for change in following}
        rest = [change for change in rest if change not in following]
    for change in rest:
        names = ", ".join(change.properties)
        yield f"{change.change} {change.logical_id}" + (f" ({names})" if names else "")


def _is_unpinned(change: ResourceChange, managed: set[str]) -> bool:
    return (
        change.logical_id in managed
        and change.change is Change.MODIFY
        and bool(change.properties)
        and set(change.properties) <= _HELD
    )


def _follows(template: Mapping[str, Any], change: ResourceChange, same: set[str]) -> bool:
    """Each property that is listed refers to one of these resources."""
    properties = template["Resources"].get(change.logical_id, {}).get("Properties", {})
    texts = [json.dumps(properties.get(name)) for name in change.properties]
    refers = re.compile(rf"\b({'|'.join(map(re.escape, sorted(same)))})\b")
    listed = change.logical_id not in same and change.change is Change.MODIFY and bool(texts)
    return listed and all(map(refers.search, texts))


def _keep_candidates(scene: Scene, rollout: Rollout) -> None:
    """A failed update may have taken aliases back to the stable version: all to the candidate."""
    refuse_foreign(scene, rollout, foreign(scene.world.aliases, rollout.shifts, [0.0, 1.0]))
    for shift in rollout.shifts:
        bring(scene.world.aliases, shift, 1.0, partial(check_fence, scene, rollout))
