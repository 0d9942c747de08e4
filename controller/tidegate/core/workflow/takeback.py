"""Traffic goes back at once: whoever hears why does it, without a look and without a machine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tidegate.core.errors import Aborted, LockLost, NotFound, RecordConflict
from tidegate.core.judge import and_alarms
from tidegate.core.look import Look, moved, policy_of
from tidegate.core.memory import remember_heard
from tidegate.core.ports import Observation, Ports
from tidegate.core.record import Rollout, RolloutPhase, Tick
from tidegate.core.rollout import Restore, decide
from tidegate.core.workflow.items import find, put_over
from tidegate.core.workflow.restore import are_back, going_back, put_back
from tidegate.core.workflow.scene import RolloutRef, Scene, check_fence, open_scene
from tidegate.core.workflow.shift import standing, tick_of
from tidegate.core.workflow.tokens import said_to

_READINGS = 3  # of a record that a look writes at the same time


def take_back(ports: Ports, ref: RolloutRef, firing: Sequence[str] = ()) -> bool:
    """Put every alias of a rollout that shifts on stable, if what was heard wants it. Repeatable.

    ``firing`` are alarms that have begun to fire. The decision is the one that a look would take,
    on the data of the last look. It is recorded first: whatever ends this early, the next look, the
    way back of the rollout's own machine or the guardian goes on with it, and that way back judges
    what is not ours. One that does so at the same time is no news: what it leaves is done here.
    False: there was nothing to take back here, or a look decides by itself.

    Raises ``RestoreFailed`` naming each alias that is not back.
    """
    scene = open_scene(ports, ref)
    decided = _decide(scene, firing)
    if decided is None:
        return False
    rollout, tick = decided
    try:
        _put_back(scene, rollout)
    finally:
        put_over(scene.ports.ledger, tick)  # a tick that was about to write it does so now or never
    return True


def _put_back(scene: Scene, rollout: Rollout) -> None:
    """Go on with what the record says, unless all are back or the guardian has taken it over."""
    for _ in range(_READINGS):
        try:
            put_back(scene, rollout, partial(check_fence, scene, rollout))
            rollout = are_back(scene, rollout)
        except RecordConflict:
            rollout = scene.require_rollout()
        except (LockLost, Aborted):
            return
        if rollout.guarded_at or rollout.left_weight <= 0.0:
            return


def _decide(scene: Scene, firing: Sequence[str]) -> tuple[Rollout, Tick] | None:
    """Record the decision to go back, and return it; None when nothing goes back."""
    for _ in range(_READINGS):
        rollout = scene.rollout()
        if rollout is None or not _at_stake(rollout):
            return None
        try:
            return _record(scene, rollout, firing)
        except RecordConflict:
            continue
    return None


def _at_stake(rollout: Rollout) -> bool:
    """The candidate has had traffic by a look's decision, and nothing takes it back yet."""
    return rollout.phase is RolloutPhase.SHIFTING and rollout.ticks > 0 and not rollout.error


def _record(scene: Scene, rollout: Rollout, firing: Sequence[str]) -> tuple[Rollout, Tick] | None:
    last = _last_tick(scene, rollout)
    look = _look(scene, rollout, last, firing)
    seen = look.observation
    verdict = and_alarms(last.verdict, seen.firing, seen.baseline)
    policy = policy_of(scene.stage, rollout)
    action = decide(
        policy.strategy, policy.checks, rollout, verdict, look.wishes, scene.ports.clock.now()
    )
    if not isinstance(action, Restore):
        return None
    tick = tick_of(look, verdict, action, remember_heard(look, last))
    going = {**moved(look, verdict, action), **going_back(rollout)}
    return scene.note(rollout, **going), tick


def _last_tick(scene: Scene, rollout: Rollout) -> Tick:
    """Raises ``NotFound``."""
    key = {"release_id": rollout.release_id, "stage": rollout.stage, "target": rollout.target}
    last = find(scene.ports.ledger, Tick, **key, number=rollout.ticks)
    if last is None:
        raise NotFound(f"Look {rollout.ticks} at {scene.place} is not in the record.")
    return last


def _look(scene: Scene, rollout: Rollout, last: Tick, firing: Sequence[str]) -> Look:
    ref, before = scene.ref, last.seen.firing if last.seen else ()
    said = said_to(scene.ports, ref.release.id, ref.stage, ref.target)
    return Look(
        rollout=rollout,
        observation=Observation(
            firing=tuple(dict.fromkeys((*before, *firing))), baseline=rollout.baseline_alarms
        ),
        wishes=standing(said, rollout.heard),
        now=scene.ports.clock.now(),
    )
