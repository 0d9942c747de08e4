"""The stack's part of a rollout: deploy with the aliases held, and take the hold off in the end."""

from __future__ import annotations

from functools import partial
from typing import TypedDict

from tidegate.core.commands import command
from tidegate.core.errors import (
    ApprovalVoid,
    ChangeSetStale,
    FinishFailed,
    LockLost,
    NotCanaryable,
    StackBusy,
    StackFailed,
)
from tidegate.core.plan import ManagedAlias, WhenNotCanaryable
from tidegate.core.ports import Ports, StackState
from tidegate.core.record import (
    Approval,
    Decision,
    Rollout,
    RolloutPhase,
    Shift,
)
from tidegate.core.stack_status import mend
from tidegate.core.workflow.artifacts import read_contents
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
from tidegate.core.workflow.stage import begin_rolling_out, bound_now
from tidegate.core.workflow.warm import find_warms

_NOT_WITH_WEIGHTS = "which cannot be changed while it has weights"
_DEPLOYED = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}


class Candidates(TypedDict):
    """The hooks to run before and after the traffic moves."""

    pre_traffic: list[str]
    post_traffic: list[str]


def deploy(ports: Ports, ref: RolloutRef, execution: str = "") -> dict[str, bool]:
    """Hand the change set to CloudFormation, once, and say whether it is through.

    What was deployed and looked at before stays so, whatever became of the stack since.
    Raises ``ApprovalVoid``, ``ChangeSetStale``, ``StackFailed``, ``Aborted``, ``LockLost``.
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

    Raises ``NotCanaryable``, ``AliasChangedByOthers``, ``Aborted``.
    """
    scene = open_scene(ports, ref)
    heed_wishes(ports, ref.release.id)
    rollout = scene.require_rollout()
    if rollout.phase is RolloutPhase.DEPLOYING:
        state = scene.state()
        shifts = _shifts(scene, state)
        rollout = scene.note(rollout, shifts=shifts, warms=find_warms(scene, shifts, state))
        refuse_foreign(scene, rollout, foreign(scene.world.aliases, rollout.shifts, [0.0]))
        why = _why_all_at_once(scene, rollout)
        scene.save(rollout, phase=RolloutPhase.VALIDATING, all_at_once=why, foreign="")
    return Candidates(
        pre_traffic=[hook.function for hook in scene.stage.pre_traffic],
        post_traffic=[hook.function for hook in scene.stage.post_traffic],
    )


def finish(ports: Ports, ref: RolloutRef) -> dict[str, bool]:
    """Take the pins off the stack, now that the aliases are where its template wants them.

    An update that CloudFormation takes back is begun again, for some ten minutes. Then raises
    ``FinishFailed``: the candidate is validated and keeps all traffic, whatever the stack does.
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
    succeed(scene, rollout)
    return {"done": True}


def candidate_version(alias: ManagedAlias, state: StackState) -> str:
    """The version that this artifact published: the last part of the version's ARN.

    Raises ``StackBusy`` when the stack's description does not show it yet.
    """
    arn = state.resources.get(alias.version_logical_id)
    if arn is None:
        raise StackBusy(f"The stack does not show {alias.version_logical_id} yet.")
    return arn.rpartition(":")[2]


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
    if scene.stage.approval is None:
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


def _execute(scene: Scene, rollout: Rollout) -> None:
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
    """Begin to take the pins off, now or later; False when there is nothing to take off."""
    if state.status not in _DEPLOYED:
        _keep_candidates(scene, rollout)
        if not may_pass(rollout, state):
            raise FinishFailed(
                f"{scene.target.stack_name} is {state.status}: {state.reason} "
                f"The validated candidate keeps all traffic.",
                mend=f"Mend the stack, then `{command('unlock', scene.ref.release.id)}`.",
            )
        due = when_due(scene, rollout)
        if due is None:
            return True
        rollout = due
    contents = read_contents(scene.ports.artifacts, scene.plan.artifact)
    spec = deployed_spec(scene.plan.artifact, contents, scene.stage, scene.target, pins={})
    return scene.world.stacks.update(spec, scene.token("finish", rollout.retries))


def _keep_candidates(scene: Scene, rollout: Rollout) -> None:
    """A failed update may have taken aliases back to the stable version: all to the candidate."""
    refuse_foreign(scene, rollout, foreign(scene.world.aliases, rollout.shifts, [0.0, 1.0]))
    for shift in rollout.shifts:
        bring(scene.world.aliases, shift, 1.0, partial(check_fence, scene, rollout))
