"""The way back: traffic first, in one call for each alias, then the stack, and else a loud word."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

from tidegate.core.commands import command
from tidegate.core.errors import (
    AliasConflict,
    FinishFailed,
    NeedsOperator,
    RestoreFailed,
    StackFailed,
)
from tidegate.core.failure import Failure, root_cause
from tidegate.core.plan import OnFirstFailure
from tidegate.core.ports import Ports, StackSpec, StackState
from tidegate.core.record import Live, Restored, Rollout, RolloutPhase, Shift
from tidegate.core.stack_status import TAKEN_BACK, repair
from tidegate.core.workflow.artifacts import check_packages, read_contents, read_template
from tidegate.core.workflow.follow import follow
from tidegate.core.workflow.retrying import may_pass, when_due
from tidegate.core.workflow.routing import pull, write
from tidegate.core.workflow.scene import (
    RolloutRef,
    Scene,
    open_scene,
    put_all,
    refuse_foreign,
    refuse_other_owner,
)
from tidegate.core.workflow.specs import held_in_force, pins_in_force, stack_spec


def restore_traffic(ports: Ports, ref: RolloutRef, failure: Mapping[str, str]) -> None:
    """Put every alias that is ours back on its stable version; one that cannot be is no obstacle.

    An alias that somebody else has moved is left alone. Raises ``RestoreFailed`` naming each that
    is not back, ``AliasChangedByOthers``, ``LockLost`` when another release deploys by now, and
    ``FinishFailed`` when the candidates are validated: they keep all traffic.
    """
    scene = open_scene(ports, ref)
    rollout = scene.rollout()
    if rollout is None or rollout.phase.over:
        return
    if rollout.shifts:
        refuse_other_owner(scene)
    if rollout.phase is RolloutPhase.FINISHING:
        raise FinishFailed(
            f"{ref.release.id} is validated at {scene.place} and keeps all traffic; "
            f"its stack was not finished.",
            mend=f"Mend the stack, then `{command('unlock', ref.release.id)}` to free its lock.",
        )
    why = root_cause(failure)
    before = rollout.phase
    rollout = scene.note(
        rollout,
        **going_back(rollout),
        error=rollout.error or why.error,
        cause=rollout.cause or why.cause,
    )
    foreign = put_back(scene, rollout, partial(refuse_other_owner, scene))
    if before is not RolloutPhase.RESTORING or rollout.left_weight:
        rollout = are_back(scene, rollout)
    refuse_foreign(scene, rollout, foreign)


def going_back(rollout: Rollout) -> dict[str, Any]:
    """The intent to put every alias on stable; ``left_weight`` is more than 0 until they are."""
    return {
        "phase": RolloutPhase.RESTORING,
        "weight": 0.0,
        "left_weight": max(rollout.left_weight, rollout.weight),
    }


def put_back(scene: Scene, rollout: Rollout, may_write: Callable[[], None]) -> list[str]:
    """Put every alias on stable, and return what is not ours. Raises ``RestoreFailed``.

    Until all are back even one that seems untouched is written: a weight may be on its way to it.
    One whose revision we know is written unread: Lambda lets an account make 15 calls a second.
    For those ``may_write`` is asked once: it answers later than any of their revisions was made.
    """
    rewrite = rollout.left_weight > 0.0
    may_write_known = cache(may_write)

    def put(shift: Shift) -> str:
        return pull(scene.world.aliases, shift, 0.0, may_write, rewrite=rewrite)

    def put_unread(shift: Shift) -> str:
        may_write_known()
        try:
            write(scene.world.aliases, shift, 0.0, shift.revision)
        except AliasConflict:
            return put(shift)
        return ""

    def put_quickly(shift: Shift) -> str:
        return put_unread(shift) if rewrite and shift.revision else put(shift)

    return put_all(scene, rollout.shifts, put_quickly)


def are_back(scene: Scene, rollout: Rollout) -> Rollout:
    """Note and tell that every alias of ours is on stable."""
    rollout = scene.note(rollout, left_weight=0.0)
    scene.tell(rollout)
    return rollout


def restore_stack(ports: Ports, ref: RolloutRef) -> dict[str, bool]:
    """Take the stack back to the last good artifact, its aliases held where they are.

    Raises ``StackFailed`` when CloudFormation cannot for some ten minutes, ``StackBusy``,
    ``ArtifactError`` when that artifact is not what it was.
    """
    scene = open_scene(ports, ref)
    rollout = scene.rollout()
    if rollout is None or rollout.phase.over:
        return {"done": True}
    state = scene.state()
    if not rollout.executing:
        how = f"{scene.target.stack_name} was not touched"
        return _restored(scene, rollout, _stack(how, back=True))
    follow(scene, _operation(rollout, state), rollout.retries)
    if state.busy:
        return {"done": False}
    if rollout.first_deployment:
        return _take_down(scene, rollout, state)
    return _take_back(scene, rollout, state)


def _operation(rollout: Rollout, state: StackState) -> str:
    """What CloudFormation is at, or was last."""
    if rollout.reverting:
        return "restore"
    return "delete" if state.status.startswith("DELETE_") else "deploy"


def declare_stuck(ports: Ports, ref: RolloutRef, failure: Mapping[str, str]) -> None:
    """Say that a person must look: the release keeps its lock and nothing else is deployed."""
    scene = open_scene(ports, ref)
    rollout = scene.rollout() or Rollout(
        release_id=ref.release.id,
        stage=ref.stage,
        target=ref.target,
        phase=RolloutPhase.RESTORING,
        started_at=ports.clock.now(),
    )
    if rollout.phase.over:
        return
    why = _stuck_because(rollout, root_cause(failure))
    scene.save(
        rollout,
        phase=RolloutPhase.STUCK,
        ended_at=ports.clock.now(),
        error=why.error,
        cause=why.cause,
    )


def _restored(scene: Scene, rollout: Rollout, stack: Restored, *lost: Restored) -> dict[str, bool]:
    """It is over: say what is as it was, and what is not."""
    traffic = (
        Restored(
            what=f"traffic of {shift.function}:{shift.alias}",
            back=True,
            how=f"all on version {shift.stable}",
        )
        for shift in rollout.shifts
    )
    scene.save(
        rollout,
        phase=RolloutPhase.RESTORED,
        ended_at=scene.ports.clock.now(),
        restored=(*traffic, stack, *lost),
    )
    return {"done": True}


def _stack(how: str, *, back: bool) -> Restored:
    return Restored(what="stack", back=back, how=how)


def _take_down(scene: Scene, rollout: Rollout, state: StackState) -> dict[str, bool]:
    """A first deployment has nothing to go back to: it goes away, unless it is to be kept."""
    name = scene.target.stack_name
    if not state.exists:
        return _restored(scene, rollout, _stack(f"{name} is gone again", back=True))
    if not rollout.executed:
        why = f"{name} stays: nothing proves that it is ours"
        return _restored(scene, rollout, _stack(why, back=False))
    if scene.stage.on_first_failure is OnFirstFailure.KEEP and state.status == "CREATE_COMPLETE":
        why = f"{name} stays, as the manifest wants"
        return _restored(scene, rollout, _stack(why, back=False))
    if state.status == "DELETE_FAILED":
        if not may_pass(rollout, state):
            why = f"{name} could not be deleted: {state.reason}"
            raise StackFailed(why, mend="Delete it by hand.")
        due = when_due(scene, rollout)
        if due is None:
            return {"done": False}
        rollout = due
    scene.world.stacks.delete(name, scene.token("delete", rollout.retries))
    return {"done": False}


def _take_back(scene: Scene, rollout: Rollout, state: StackState) -> dict[str, bool]:
    name = scene.target.stack_name
    ours_failed = rollout.reverting and state.status in TAKEN_BACK
    if ours_failed and may_pass(rollout, state):
        due = when_due(scene, rollout)
        if due is None:
            return {"done": False}
        rollout = due
    elif ours_failed or state.status.endswith("_FAILED"):
        way = repair(state.status) or "Mend the stack"
        free = command("unlock", scene.ref.release.id)
        raise StackFailed(
            f"{name} is {state.status} and not as it was before: {state.reason}",
            mend=f"Traffic is on the stable version. {way}, then `{free}`.",
        )
    elif state.status in TAKEN_BACK:
        how = f"CloudFormation has taken {name} back by itself"
        return _restored(scene, rollout, _stack(how, back=True))
    live = scene.live()
    if live is None:
        why = f"{name} stays: no record says what it was"
        return _restored(scene, rollout, _stack(why, back=False))
    if rollout.reverted and not ours_failed:
        how = f"{name} is made from {live.release_id} again, with its parameters"
        return _restored(scene, rollout, _stack(how, back=True), *_lost(scene))
    return _begin_reverting(scene, rollout, _live_spec(scene, live, state))


def _lost(scene: Scene) -> Iterator[Restored]:
    """What the deployment removed or replaced, and no template brings back."""
    for change in scene.require_preview().changes:
        if change.irreversible:
            yield Restored(what=change.logical_id, back=False, how=change.irreversible)


def _begin_reverting(scene: Scene, rollout: Rollout, spec: StackSpec) -> dict[str, bool]:
    if not rollout.reverting:
        rollout = scene.note(rollout, reverting=True)
    if not scene.world.stacks.update(spec, scene.token("restore", rollout.retries)):
        how = f"{spec.stack_name} is as it was: there was nothing to update"
        return _restored(scene, rollout, _stack(how, back=True))
    scene.note(rollout, reverted=True)
    return {"done": False}


def _live_spec(scene: Scene, live: Live, state: StackState) -> StackSpec:
    """What the stack goes back to. Raises ``ArtifactError``: no other bytes are put back."""
    artifacts = scene.ports.artifacts
    contents = read_contents(artifacts, live.artifact)
    read_template(artifacts, live.artifact, contents)
    check_packages(artifacts, live.artifact, contents, [scene.target.region])
    return stack_spec(
        artifact=live.artifact,
        contents=contents,
        stage=live.stage,
        target=scene.target,
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
