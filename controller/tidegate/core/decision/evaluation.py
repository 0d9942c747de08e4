"""One evaluation of a rollout: what was seen, what is made of it, and what becomes of the record.

The workflow looks at the world, `simulate` at a virtual one, `explain` and `retro` at the record.
All of them judge and decide here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidegate.core.analysis.judge import judge
from tidegate.core.decision.next_move import Action, Hold, Promote, Restore, SetWeight, decide
from tidegate.core.model.plan import Checks, StagePlan, StrategyPlan
from tidegate.core.model.record import OperatorRequest, Rollout, RolloutPhase, Verdict
from tidegate.core.ports import Observation

ACTION_NAMES: dict[type[Action], str] = {
    SetWeight: "set-weight",
    Hold: "hold",
    Promote: "promote",
    Restore: "restore",
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What a rollout is decided by."""

    strategy: StrategyPlan
    checks: Checks


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a decision rests on."""

    rollout: Rollout  # as it was before the decision
    observation: Observation
    operator_requests: Sequence[OperatorRequest]
    now: datetime


def policy_of(stage: StagePlan, rollout: Rollout) -> Policy:
    """The stage's policy; all at once when the versions cannot share an alias."""
    strategy = StrategyPlan(name="all-at-once") if rollout.all_at_once else stage.strategy
    return Policy(strategy, stage.checks)


def evaluate(policy: Policy, evaluation: Evaluation) -> tuple[Verdict, Action]:
    """Judge what was seen, and decide."""
    verdict = judge(evaluation.observation, policy.checks)
    action = decide(
        policy.strategy,
        policy.checks,
        evaluation.rollout,
        verdict,
        evaluation.operator_requests,
        evaluation.now,
    )
    return verdict, action


def moved(evaluation: Evaluation, verdict: Verdict, action: Action) -> dict[str, Any]:
    """The fields of the rollout's record that an evaluation and what followed from it change."""
    looked = {
        "verdict": verdict,
        "ticks": evaluation.rollout.ticks + 1,
        "looked_at": evaluation.now,
    }
    return looked | _moved(evaluation, verdict, action)


def _moved(evaluation: Evaluation, verdict: Verdict, action: Action) -> dict[str, Any]:
    match action:
        case SetWeight():
            return {
                "weight": action.weight,
                "step": action.step,
                "step_started_at": evaluation.now,
                "step_began_with": verdict.candidate_invocations,
                "moved_at": (*evaluation.rollout.moved_at, evaluation.now),
                "shifting_since": evaluation.rollout.shifting_since or evaluation.now,
            }
        case Promote():
            return {"weight": 1.0, "phase": RolloutPhase.VERIFYING}
        case Restore():
            return {"error": action.error, "cause": action.why}
    return {}
