"""The stack's part of a rollout: deploy with the aliases held, and take the hold off in the end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, TypedDict

from tidegate.core.approval import votes as approvals
from tidegate.core.errors import (
    ApprovalVoid,
    ChangeSetStale,
    FinishFailed,
    LockLost,
    NotCanaryable,
    StackFailed,
)
from tidegate.core.model.plan import ManagedAlias, WhenNotCanaryable
from tidegate.core.model.record import Approval, Decision, Rollout, RolloutPhase, Shift
from tidegate.core.model.stack_status import TAKEN_BACK, remedy
from tidegate.core.planning.release_plan import make_plan
from tidegate.core.ports import Change, ChangeSet, Ports, ResourceChange, StackState
from tidegate.core.text.commands import command
from tidegate.core.workflow.records import find, raise_if_aborted, raise_if_superseded, require_lock
from tidegate.core.workflow.release.artifacts import check_packages, read_contents, read_template
from tidegate.core.workflow.rollout.warm import find_warms
from tidegate.core.workflow.stage.approval import begin_rolling_out, bound_now, who_wrote
from tidegate.core.workflow.target.code import candidate_version, check_code
from tidegate.core.workflow.target.context import (
    RolloutContext,
    RolloutRef,
    check_fence,
    open_context,
    refuse_changes_by_others,
)
from tidegate.core.workflow.target.live_versions import succeed
from tidegate.core.workflow.target.routing import alias_ref, apply_weight, changed_by_others
from tidegate.core.workflow.target.stack_log import follow
from tidegate.core.workflow.target.stack_retries import may_pass, when_due
from tidegate.core.workflow.target.stack_spec import deployed_spec, pins_in_force

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
    context = open_context(ports, ref)
    rollout = context.rollout() or _begin(context, execution)
    if rollout.phase is not RolloutPhase.DEPLOYING:
        return {"done": True}
    if not rollout.executed:
        check_fence(context, rollout)
        _execute(context, rollout)
        return {"done": False}
    state = context.state()
    follow(context, "deploy")
    if state.busy:
        return {"done": False}
    if state.status not in _DEPLOYED:
        raise StackFailed(
            f"{context.target.stack_name} is {state.status}: {state.reason}",
            remedy=remedy(state.status),
        )
    return {"done": True}


def find_candidates(ports: Ports, ref: RolloutRef) -> Candidates:
    """Learn which aliases are to move from which version to which, and store it.

    Raises ``CodeMismatch`` when a function runs other bytes than were built, ``NotCanaryable``,
    ``AliasChangedByOthers``, ``Aborted``.
    """
    context = open_context(ports, ref)
    raise_if_aborted(ports, ref.release.id)
    rollout = context.require_rollout()
    if rollout.phase is RolloutPhase.DEPLOYING:
        state = context.state()
        code = check_code(context, state)
        shifts = _shifts(context, state)
        rollout = context.note(
            rollout,
            code=code,
            candidates=_candidates(context, state),
            shifts=shifts,
            warms=find_warms(context, shifts, state),
        )
        refuse_changes_by_others(
            context, rollout, changed_by_others(context.world.aliases, rollout.shifts, [0.0])
        )
        why = _why_all_at_once(context, rollout)
        context.save(rollout, phase=RolloutPhase.VALIDATING, all_at_once=why, changed_by_others="")
    return Candidates(
        pre_traffic=[hook.function for hook in context.stage.pre_traffic],
        post_traffic=[hook.function for hook in context.stage.post_traffic],
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
    context = open_context(ports, ref)
    rollout = context.require_rollout()
    if rollout.phase is RolloutPhase.SUCCEEDED:
        return {"done": True}
    if rollout.phase not in {RolloutPhase.VERIFYING, RolloutPhase.FINISHING}:
        raise LockLost(
            f"{ref.release.id} is {rollout.phase} at {context.place}, "
            f"and does not finish any more.",
            remedy="Its execution ended, and the guardian makes the traffic safe.",
        )
    rollout = context.save(rollout, phase=RolloutPhase.FINISHING)
    state = context.state()
    follow(context, "finish", rollout.retries)
    if state.busy or (_pinned(context, state) and _unpin(context, rollout, state)):
        return {"done": False}
    refuse_changes_by_others(context, rollout, _not_on_candidates(context, rollout))
    succeed(context, rollout)
    return {"done": True}


def _begin(context: RolloutContext, execution: str) -> Rollout:
    """Check once more that this may be deployed, and open the rollout's record."""
    lock = require_lock(context.ports, context.ref.release)
    raise_if_aborted(context.ports, context.ref.release.id)
    raise_if_superseded(context.ports, context.ref.release.id)
    _require_approval(context)
    begin_rolling_out(context.ports, context.ref.release, context.stage)
    rollout = context.ports.ledger.put(
        Rollout(
            release_id=context.ref.release.id,
            stage=context.ref.stage,
            target=context.ref.target,
            phase=RolloutPhase.DEPLOYING,
            execution_arn=execution,
            fence=lock.fence,
            first_deployment=context.require_preview().first_deployment,
            started_at=context.ports.clock.now(),
        )
    )
    context.tell(rollout)
    return rollout


def _require_approval(context: RolloutContext) -> None:
    """Raises ``ApprovalVoid`` unless people agreed to what would be deployed, and are on record."""
    contents = read_contents(context.ports.artifacts, context.plan.artifact)
    plan = make_plan(context.ref.release, context.plan.artifact, contents)
    asked = plan.stage(context.ref.stage)
    if asked.approval is None:
        return
    release, stage = context.ref.release.id, context.ref.stage
    approval = find(context.ports.ledger, Approval, release_id=release, stage=stage)
    if approval is None or approval.decision is not Decision.APPROVED:
        raise ApprovalVoid(f"{stage} of {release} was not approved.")
    bound = bound_now(context.ports, context.plan, stage)
    if bound != approval.digest:
        raise ApprovalVoid(
            f"{stage} of {release} would deploy {bound}, and {approval.digest} was approved.",
            remedy="Release the commit again to have the present changes approved.",
        )
    written = who_wrote(context.ports, context.ref.release, asked, contents)
    approvals.recount(approval, asked.approval, written, context.ports.seals.holds)


def _execute(context: RolloutContext, rollout: Rollout) -> None:
    """Hand the change set over, if CloudFormation and Lambda would take what was built."""
    artifacts, artifact = context.ports.artifacts, context.plan.artifact
    contents = read_contents(artifacts, artifact)
    read_template(artifacts, artifact, contents)
    check_packages(artifacts, artifact, contents, [context.target.region])
    tried = rollout.executing
    if not tried:
        rollout = context.note(rollout, executing=True)
    preview = context.require_preview()
    try:
        if preview.change_set:
            context.world.stacks.execute(preview.change_set, context.token("deploy"))
    except ChangeSetStale:
        if not tried:
            context.note(rollout, executing=False)
        raise
    context.note(rollout, executed=True)


def _candidates(context: RolloutContext, state: StackState) -> dict[str, str]:
    """What each managed alias of the stack is to serve in the end."""
    return {
        f"{alias_ref(alias, state).function}:{alias.alias}": candidate_version(alias, state)
        for alias in context.plan.aliases
        if alias.alias_logical_id in state.resources
    }


def _not_on_candidates(context: RolloutContext, rollout: Rollout) -> list[str]:
    """The aliases that do not serve, alone, what was found after the deployment."""
    wanted = [
        Shift(
            function=name.rpartition(":")[0], alias=name.rpartition(":")[2], stable=v, candidate=v
        )
        for name, v in rollout.candidates.items()
    ]
    return changed_by_others(context.world.aliases, wanted, [1.0])


def _shifts(context: RolloutContext, state: StackState) -> tuple[Shift, ...]:
    """The aliases that are held on another version than the candidate."""
    pins = pins_in_force(context.plan.aliases, state)
    shifts = (
        _shift(alias, state, pins[alias.pin_parameter])
        for alias in context.plan.aliases
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


def _why_all_at_once(context: RolloutContext, rollout: Rollout) -> str:
    """Why the steps must be skipped, "" when they need not. Raises ``NotCanaryable``."""
    if not context.stage.strategy.splits:
        return ""
    blockers = [
        f"{shift.function}: {blocker}"
        for shift in rollout.shifts
        for blocker in context.world.functions.canary_blockers(
            shift.function, shift.stable, shift.candidate
        )
    ]
    blockers += [
        f"{warm.function}: its alias has provisioned concurrency itself, {_NOT_WITH_WEIGHTS}"
        for warm in rollout.warms
        if warm.by_alias and warm.stable != warm.candidate
    ]
    why = "; ".join(blockers)
    if blockers and context.stage.when_not_canaryable is WhenNotCanaryable.REFUSE:
        raise NotCanaryable(
            f"A weighted alias cannot serve both versions: {why}.",
            remedy="Release that change alone with `when_not_canaryable: all-at-once`.",
        )
    return why


def _pinned(context: RolloutContext, state: StackState) -> bool:
    return bool(pins_in_force(context.plan.aliases, state))


def _unpin(context: RolloutContext, rollout: Rollout, state: StackState) -> bool:
    """Go on to take the pins off, now or later; False when there is nothing to take off."""
    if state.status not in _DEPLOYED:
        _keep_candidates(context, rollout)
        due = _next_attempt(context, rollout, state)
        if due is None:
            return True
        rollout = due
    contents = read_contents(context.ports.artifacts, context.plan.artifact)
    template = read_template(context.ports.artifacts, context.plan.artifact, contents)
    spec = deployed_spec(context.plan.artifact, contents, context.stage, context.target, pins={})
    token = context.token("finish", rollout.retries)
    change_set = context.world.stacks.preview(spec, token)
    if change_set is None:
        return True
    if more := list(_beyond_pins(context, template, change_set)):
        raise FinishFailed(
            f"Taking the pins off {context.target.stack_name} would change more than them:"
            f" {'; '.join(more)}. It was not done: the validated candidate keeps all traffic.",
            remedy="Find out who changed the stack, or what it depends on, since it was deployed;"
            f" mend it, then `{command('unlock', context.ref.release.id)}`.",
        )
    if not change_set.changes:
        return False
    context.note(rollout, unpinning=rollout.retries + 1)
    context.world.stacks.execute(change_set.id, token)
    return True


def _next_attempt(context: RolloutContext, rollout: Rollout, state: StackState) -> Rollout | None:
    """The rollout that may go on with the stack as it is; None when it is to wait.

    Raises ``FinishFailed``. What was taken back may have been somebody else's update, not ours.
    """
    ours = rollout.unpinning > rollout.retries
    if state.status in TAKEN_BACK and not ours:
        return rollout
    if not may_pass(rollout, state):
        raise FinishFailed(
            f"{context.target.stack_name} is {state.status}: {state.reason} "
            f"The validated candidate keeps all traffic.",
            remedy=f"Mend the stack, then `{command('unlock', context.ref.release.id)}`.",
        )
    return when_due(context, rollout)


def _beyond_pins(
    context: RolloutContext, template: Mapping[str, Any], change_set: ChangeSet
) -> Iterator[str]:
    """The changes that are more than an alias being told what it already serves.

    CloudFormation lists with it whatever refers to it, and what refers to that, though the names
    and ARNs stay what they are: as modified, and perhaps to be replaced.
    """
    managed = {alias.alias_logical_id for alias in context.plan.aliases}
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


def _keep_candidates(context: RolloutContext, rollout: Rollout) -> None:
    """A failed update may have taken aliases back to the stable version: all to the candidate."""
    refuse_changes_by_others(
        context, rollout, changed_by_others(context.world.aliases, rollout.shifts, [0.0, 1.0])
    )
    for shift in rollout.shifts:
        apply_weight(context.world.aliases, shift, 1.0, partial(check_fence, context, rollout))
