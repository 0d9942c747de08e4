"""The way back: traffic first, in one call for each alias, then the stack, and else a loud word."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

from tidegate.core.errors import (
    AliasConflict,
    FinishFailed,
    NeedsOperator,
    RestoreFailed,
    StackFailed,
)
from tidegate.core.model.failure import Failure, root_cause
from tidegate.core.model.plan import OnFirstFailure
from tidegate.core.model.record import Live, Restored, Rollout, RolloutPhase, Shift
from tidegate.core.model.stack_status import TAKEN_BACK, repair
from tidegate.core.ports import Ports, StackSpec, StackState
from tidegate.core.text.commands import command
from tidegate.core.workflow.release.artifacts import check_packages, read_contents, read_template
from tidegate.core.workflow.target.context import (
    RolloutContext,
    RolloutRef,
    open_context,
    refuse_changes_by_others,
    refuse_other_owner,
    write_every_alias,
)
from tidegate.core.workflow.target.routing import restore_alias, write
from tidegate.core.workflow.target.stack_log import follow
from tidegate.core.workflow.target.stack_retries import may_pass, when_due
from tidegate.core.workflow.target.stack_spec import held_in_force, pins_in_force, stack_spec


def restore_traffic(ports: Ports, ref: RolloutRef, failure: Mapping[str, str]) -> None:
    """Put every alias that is ours back on its stable version; one that cannot be is no obstacle.

    An alias that somebody else has moved is left alone. Raises ``RestoreFailed`` naming each that
    is not back, ``AliasChangedByOthers``, ``LockLost`` when another release deploys by now, and
    ``FinishFailed`` when the candidates are validated: they keep all traffic.
    """
    context = open_context(ports, ref)
    rollout = context.rollout()
    if rollout is None or rollout.phase.over:
        return
    if rollout.shifts:
        refuse_other_owner(context)
    if rollout.phase is RolloutPhase.FINISHING:
        raise FinishFailed(
            f"{ref.release.id} is validated at {context.place} and keeps all traffic; "
            f"its stack was not finished.",
            remedy=f"Mend the stack, then `{command('unlock', ref.release.id)}` to free its lock.",
        )
    why = root_cause(failure)
    before = rollout.phase
    rollout = context.note(
        rollout,
        **restoring(rollout),
        error=rollout.error or why.error,
        cause=rollout.cause or why.cause,
    )
    changed_by_others = restore_aliases(context, rollout, partial(refuse_other_owner, context))
    if before is not RolloutPhase.RESTORING or rollout.left_weight:
        rollout = note_restored(context, rollout)
    refuse_changes_by_others(context, rollout, changed_by_others)


def restoring(rollout: Rollout) -> dict[str, Any]:
    """The intent to put every alias on stable; ``left_weight`` is more than 0 until they are."""
    return {
        "phase": RolloutPhase.RESTORING,
        "weight": 0.0,
        "left_weight": max(rollout.left_weight, rollout.weight),
    }


def restore_aliases(
    context: RolloutContext, rollout: Rollout, may_write: Callable[[], None]
) -> list[str]:
    """Put every alias on stable, and return what is not ours. Raises ``RestoreFailed``.

    Until all are back even one that seems untouched is written: a weight may be on its way to it.
    One whose revision we know is written unread: Lambda lets an account make 15 calls a second.
    For those ``may_write`` is asked once: it answers later than any of their revisions was made.
    """
    rewrite = rollout.left_weight > 0.0
    may_write_known = cache(may_write)

    def put(shift: Shift) -> str:
        return restore_alias(context.world.aliases, shift, 0.0, may_write, rewrite=rewrite)

    def put_unread(shift: Shift) -> str:
        may_write_known()
        try:
            write(context.world.aliases, shift, 0.0, shift.revision)
        except AliasConflict:
            return put(shift)
        return ""

    def put_quickly(shift: Shift) -> str:
        return put_unread(shift) if rewrite and shift.revision else put(shift)

    return write_every_alias(context, rollout.shifts, put_quickly)


def note_restored(context: RolloutContext, rollout: Rollout) -> Rollout:
    """Note and tell that every alias of ours is on stable."""
    rollout = context.note(rollout, left_weight=0.0)
    context.tell(rollout)
    return rollout


def restore_stack(ports: Ports, ref: RolloutRef) -> dict[str, bool]:
    """Take the stack back to the last good artifact, its aliases held where they are.

    Raises ``StackFailed`` when CloudFormation cannot for some ten minutes, ``StackBusy``,
    ``ArtifactError`` when that artifact is not what it was.
    """
    context = open_context(ports, ref)
    rollout = context.rollout()
    if rollout is None or rollout.phase.over:
        return {"done": True}
    state = context.state()
    if not rollout.executing:
        how = f"{context.target.stack_name} was not touched"
        return _restored(context, rollout, _stack(how, back=True))
    follow(context, _operation(rollout, state), rollout.retries)
    if state.busy:
        return {"done": False}
    if rollout.first_deployment:
        return _delete(context, rollout, state)
    return _revert(context, rollout, state)


def _operation(rollout: Rollout, state: StackState) -> str:
    """What CloudFormation is at, or was last."""
    if rollout.reverting:
        return "restore"
    return "delete" if state.status.startswith("DELETE_") else "deploy"


def declare_stuck(ports: Ports, ref: RolloutRef, failure: Mapping[str, str]) -> None:
    """Say that a person must look: the release keeps its lock and nothing else is deployed."""
    context = open_context(ports, ref)
    rollout = context.rollout() or Rollout(
        release_id=ref.release.id,
        stage=ref.stage,
        target=ref.target,
        phase=RolloutPhase.RESTORING,
        started_at=ports.clock.now(),
    )
    if rollout.phase.over:
        return
    why = _stuck_because(rollout, root_cause(failure))
    context.save(
        rollout,
        phase=RolloutPhase.STUCK,
        ended_at=ports.clock.now(),
        error=why.error,
        cause=why.cause,
    )


def _restored(
    context: RolloutContext, rollout: Rollout, stack: Restored, *lost: Restored
) -> dict[str, bool]:
    """It is over: say what is as it was, and what is not."""
    traffic = (
        Restored(
            what=f"traffic of {shift.function}:{shift.alias}",
            back=True,
            how=f"all on version {shift.stable}",
        )
        for shift in rollout.shifts
    )
    context.save(
        rollout,
        phase=RolloutPhase.RESTORED,
        ended_at=context.ports.clock.now(),
        restored=(*traffic, stack, *lost),
    )
    return {"done": True}


def _stack(how: str, *, back: bool) -> Restored:
    return Restored(what="stack", back=back, how=how)


def _delete(context: RolloutContext, rollout: Rollout, state: StackState) -> dict[str, bool]:
    """A first deployment has nothing to go back to: it goes away, unless it is to be kept."""
    name = context.target.stack_name
    if not state.exists:
        return _restored(context, rollout, _stack(f"{name} is gone again", back=True))
    if not rollout.executed:
        why = f"{name} stays: nothing proves that it is ours"
        return _restored(context, rollout, _stack(why, back=False))
    if context.stage.on_first_failure is OnFirstFailure.KEEP and state.status == "CREATE_COMPLETE":
        why = f"{name} stays, as the manifest wants"
        return _restored(context, rollout, _stack(why, back=False))
    if state.status == "DELETE_FAILED":
        if not may_pass(rollout, state):
            why = f"{name} could not be deleted: {state.reason}"
            raise StackFailed(why, remedy="Delete it by hand.")
        due = when_due(context, rollout)
        if due is None:
            return {"done": False}
        rollout = due
    context.world.stacks.delete(name, context.token("delete", rollout.retries))
    return {"done": False}


def _revert(context: RolloutContext, rollout: Rollout, state: StackState) -> dict[str, bool]:
    name = context.target.stack_name
    ours_failed = rollout.reverting and state.status in TAKEN_BACK
    if ours_failed and may_pass(rollout, state):
        due = when_due(context, rollout)
        if due is None:
            return {"done": False}
        rollout = due
    elif ours_failed or state.status.endswith("_FAILED"):
        way = repair(state.status) or "Mend the stack"
        free = command("unlock", context.ref.release.id)
        raise StackFailed(
            f"{name} is {state.status} and not as it was before: {state.reason}",
            remedy=f"Traffic is on the stable version. {way}, then `{free}`.",
        )
    elif state.status in TAKEN_BACK:
        how = f"CloudFormation has taken {name} back by itself"
        return _restored(context, rollout, _stack(how, back=True))
    live = context.live()
    if live is None:
        why = f"{name} stays: no record says what it was"
        return _restored(context, rollout, _stack(why, back=False))
    if rollout.reverted and not ours_failed:
        how = f"{name} is made from {live.release_id} again, with its parameters"
        return _restored(context, rollout, _stack(how, back=True), *_lost(context))
    return _begin_reverting(context, rollout, _live_spec(context, live, state))


def _lost(context: RolloutContext) -> Iterator[Restored]:
    """What the deployment removed or replaced, and no template brings back."""
    for change in context.require_preview().changes:
        if change.irreversible:
            yield Restored(what=change.logical_id, back=False, how=change.irreversible)


def _begin_reverting(context: RolloutContext, rollout: Rollout, spec: StackSpec) -> dict[str, bool]:
    if not rollout.reverting:
        rollout = context.note(rollout, reverting=True)
    if not context.world.stacks.update(spec, context.token("restore", rollout.retries)):
        how = f"{spec.stack_name} is as it was: there was nothing to update"
        return _restored(context, rollout, _stack(how, back=True))
    context.note(rollout, reverted=True)
    return {"done": False}


def _live_spec(context: RolloutContext, live: Live, state: StackState) -> StackSpec:
    """What the stack goes back to. Raises ``ArtifactError``: no other bytes are put back."""
    artifacts = context.ports.artifacts
    contents = read_contents(artifacts, live.artifact)
    read_template(artifacts, live.artifact, contents)
    check_packages(artifacts, live.artifact, contents, [context.target.region])
    return stack_spec(
        artifact=live.artifact,
        contents=contents,
        stage=live.stage,
        target=context.target,
        parameters=live.parameters,
        pins=pins_in_force(contents.aliases, state),
        held=held_in_force(contents.aliases, state),
    )


def _stuck_because(rollout: Rollout, failure: Failure) -> Failure:
    """Why it is stuck, and what it was on its way back from."""
    known = {error.__name__ for error in NeedsOperator.__subclasses__()}
    cause = failure.cause
    if failure.error == RestoreFailed.__name__:
        cause += " Set the aliases by hand: one version, no weights."
    fallback = "FinishFailed" if rollout.phase is RolloutPhase.FINISHING else "RestoreFailed"
    error = failure.error if failure.error in known else fallback
    first = f" It was going back because of {rollout.error}: {rollout.cause}"
    return Failure(error, cause + (first if rollout.error else ""))
