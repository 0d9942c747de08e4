"""Past rollouts under another policy: the recorded data, decided upon anew from the start.

Where the other policy would have set another weight, the recorded requests are not those that it
would have seen. The tests hold whatever the weights are, but counts would differ: that is marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tidegate.core.decision.evaluation import ACTION_NAMES, Policy, evaluate, moved
from tidegate.core.decision.evidence_history import recorded_evaluations
from tidegate.core.decision.next_move import Promote, Restore
from tidegate.core.model.base import Model
from tidegate.core.model.plan import WhenFiringBefore
from tidegate.core.model.record import Item, Rollout, Tick

_OVER = {"promote": "promoted", "restore": "restored"}


class RolloutSummary(Model):
    """How a rollout went, or would have gone."""

    ending: str  # promoted, restored, under-way
    seconds: float  # from the first evaluation
    weight: float  # in the end
    candidate_errors: int  # users' requests that the candidate had failed by then
    why: str


class Hindsight(Model):
    """A past rollout, as it was and as it would have been."""

    release: str
    stage: str
    target: str
    recorded: RolloutSummary
    replayed: RolloutSummary | None  # none: its ticks do not have what was seen
    differs_at: int | None = None  # number of the first decision that is another
    same_weights: bool = True  # as long as it would have lasted


@dataclass(frozen=True, slots=True)
class _Replay:
    summary: RolloutSummary
    differs_at: int | None
    same_weights: bool


def replay_rollout(policy: Policy, rollout: Rollout, items: Iterable[Item]) -> Hindsight | None:
    """The rollout under this policy; None when no decision about it was recorded."""
    here = (rollout.stage, rollout.target)
    ticks = [i for i in items if isinstance(i, Tick) and (i.stage, i.target) == here]
    ticks.sort(key=lambda tick: tick.number)
    if not ticks:
        return None
    replay = _refused(policy, rollout, ticks[0]) or _replay(policy, rollout, ticks)
    return Hindsight(
        release=rollout.release_id,
        stage=rollout.stage,
        target=rollout.target,
        recorded=_recorded(ticks),
        replayed=replay.summary if replay else None,
        differs_at=replay.differs_at if replay else None,
        same_weights=replay.same_weights if replay else True,
    )


def _refused(policy: Policy, rollout: Rollout, first: Tick) -> _Replay | None:
    """The policy would not have let it begin, for an alarm fired already."""
    refuses = policy.checks.when_firing_before is WhenFiringBefore.REFUSE
    if not (refuses and rollout.baseline_alarms):
        return None
    why = f"not begun: {', '.join(rollout.baseline_alarms)} fired before the shift"
    summary = RolloutSummary(
        ending="restored", seconds=0.0, weight=0.0, candidate_errors=0, why=why
    )
    return _Replay(summary, differs_at=first.number, same_weights=True)


def _recorded(ticks: Sequence[Tick]) -> RolloutSummary:
    last = ticks[-1]
    return RolloutSummary(
        ending=_OVER.get(last.action, "under-way"),
        seconds=_seconds(ticks[0].at, last.at),
        weight=last.weight,
        candidate_errors=last.verdict.candidate_errors,
        why=last.why,
    )


def _replay(policy: Policy, rollout: Rollout, ticks: Sequence[Tick]) -> _Replay | None:
    """Decide anew until it is over or the record ends; None when the record is not complete."""
    state: Rollout | None = None
    replay: _Replay | None = None
    differs_at, same_weights = None, True
    for tick, evaluation in recorded_evaluations(rollout, ticks):
        if evaluation is None:
            return None
        same_weights = (
            same_weights and (state or evaluation.rollout).weight == evaluation.rollout.weight
        )
        state = state or evaluation.rollout
        seen = replace(evaluation.observation, moved_at=state.moved_at)
        evaluation = replace(evaluation, rollout=state, observation=seen)  # noqa: PLW2901  # as it would be
        verdict, action = evaluate(policy, evaluation)
        state = state.model_copy(update=moved(evaluation, verdict, action))
        name = ACTION_NAMES[type(action)]
        if differs_at is None and (name, state.weight) != (tick.action, tick.weight):
            differs_at = tick.number
        summary = RolloutSummary(
            ending=_OVER.get(name, "under-way"),
            seconds=_seconds(ticks[0].at, tick.at),
            weight=state.weight,
            candidate_errors=verdict.candidate_errors,
            why=action.why,
        )
        replay = _Replay(summary, differs_at, same_weights)
        if isinstance(action, Promote | Restore):
            break
    return replay


def _seconds(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds()
