"""Traffic goes back at once: by whoever learns why, before the next evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tidegate.core.analysis.judge import and_alarms
from tidegate.core.decision.evaluation import Evaluation, moved, policy_of
from tidegate.core.decision.evidence_history import evidence_of_restore
from tidegate.core.decision.next_move import Restore, decide
from tidegate.core.errors import Aborted, LockLost, NotFound, RecordConflict
from tidegate.core.model.record import Rollout, RolloutPhase, Tick
from tidegate.core.ports import Observation, Ports
from tidegate.core.workflow.records import find, put_over
from tidegate.core.workflow.rollout.restore import note_restored, restore_aliases, restoring
from tidegate.core.workflow.rollout.shift import pending_requests, tick_of
from tidegate.core.workflow.target.context import (
    RolloutContext,
    RolloutRef,
    check_fence,
    open_context,
)
from tidegate.core.workflow.task_tokens import received_by

_READINGS = 3  # of a record that an evaluation writes at the same time


def restore_now(ports: Ports, ref: RolloutRef, firing: Sequence[str] = ()) -> bool:
    """Put every alias of a rollout that shifts on stable, if what came in demands it. Repeatable.

    ``firing`` are alarms that have begun to fire. The decision is the one that an evaluation would
    take on the data of the last. It is recorded first: whatever ends this early, the next
    evaluation, the restore of the rollout's own machine or the guardian goes on with it, and that
    restore judges what is not ours. One that does so at the same time is no news: what it leaves is
    done here. False: there was nothing to restore here, or an evaluation decides by itself.

    Raises ``RestoreFailed`` naming each alias that is not back.
    """
    context = open_context(ports, ref)
    decided = _decide(context, firing)
    if decided is None:
        return False
    rollout, tick = decided
    try:
        _restore(context, rollout)
    finally:
        put_over(
            context.ports.ledger, tick
        )  # a tick that was about to write it does so now or never
    return True


def _restore(context: RolloutContext, rollout: Rollout) -> None:
    """Go on with what the record says, unless all are back or the guardian has taken it over."""
    for _ in range(_READINGS):
        try:
            restore_aliases(context, rollout, partial(check_fence, context, rollout))
            rollout = note_restored(context, rollout)
        except RecordConflict:
            rollout = context.require_rollout()
        except (LockLost, Aborted):
            return
        if rollout.guarded_at or rollout.left_weight <= 0.0:
            return


def _decide(context: RolloutContext, firing: Sequence[str]) -> tuple[Rollout, Tick] | None:
    """Record the decision to go back, and return it; None when nothing goes back."""
    for _ in range(_READINGS):
        rollout = context.rollout()
        if rollout is None or not _at_stake(rollout):
            return None
        try:
            return _record(context, rollout, firing)
        except RecordConflict:
            continue
    return None


def _at_stake(rollout: Rollout) -> bool:
    """The candidate has had traffic by an evaluation's decision, and nothing takes it back yet."""
    return rollout.phase is RolloutPhase.SHIFTING and rollout.ticks > 0 and not rollout.error


def _record(
    context: RolloutContext, rollout: Rollout, firing: Sequence[str]
) -> tuple[Rollout, Tick] | None:
    last = _last_tick(context, rollout)
    evaluation = _evaluation(context, rollout, last, firing)
    seen = evaluation.observation
    verdict = and_alarms(last.verdict, seen.firing, seen.baseline)
    policy = policy_of(context.stage, rollout)
    action = decide(
        policy.strategy,
        policy.checks,
        rollout,
        verdict,
        evaluation.operator_requests,
        context.ports.clock.now(),
    )
    if not isinstance(action, Restore):
        return None
    tick = tick_of(evaluation, verdict, action, evidence_of_restore(evaluation, last))
    going = {**moved(evaluation, verdict, action), **restoring(rollout)}
    return context.note(rollout, **going), tick


def _last_tick(context: RolloutContext, rollout: Rollout) -> Tick:
    """Raises ``NotFound``."""
    key = {"release_id": rollout.release_id, "stage": rollout.stage, "target": rollout.target}
    last = find(context.ports.ledger, Tick, **key, number=rollout.ticks)
    if last is None:
        raise NotFound(f"Look {rollout.ticks} at {context.place} is not in the record.")
    return last


def _evaluation(
    context: RolloutContext, rollout: Rollout, last: Tick, firing: Sequence[str]
) -> Evaluation:
    ref, before = context.ref, last.seen.firing if last.seen else ()
    received = received_by(context.ports, ref.release.id, ref.stage, ref.target)
    return Evaluation(
        rollout=rollout,
        observation=Observation(
            firing=tuple(dict.fromkeys((*before, *firing))), baseline=rollout.baseline_alarms
        ),
        operator_requests=pending_requests(received, rollout.heard),
        now=context.ports.clock.now(),
    )
