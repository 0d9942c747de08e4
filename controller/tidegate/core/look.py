"""One look at a rollout: what was seen, what is made of it, and what becomes of the record.

The workflow looks at the world, `simulate` at a virtual one, `explain` and `retro` at the record.
All of them judge and decide here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidegate.core.judge import judge
from tidegate.core.plan import Checks, StagePlan, StrategyPlan
from tidegate.core.ports import Observation
from tidegate.core.record import Rollout, RolloutPhase, Verdict, Wish
from tidegate.core.rollout import Action, Hold, Promote, Restore, SetWeight, decide

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
class Look:
    """What a decision rests on."""

    rollout: Rollout  # as it was before the decision
    observation: Observation
    wishes: Sequence[Wish]
    now: datetime


def policy_of(stage: StagePlan, rollout: Rollout) -> Policy:
    """The stage's policy; all at once when the versions cannot share an alias."""
    strategy = StrategyPlan(name="all-at-once") if rollout.all_at_once else stage.strategy
    return Policy(strategy, stage.checks)


def consider(policy: Policy, look: Look) -> tuple[Verdict, Action]:
    """Judge what was seen, and decide."""
    verdict = judge(look.observation, policy.checks)
    action = decide(policy.strategy, policy.checks, look.rollout, verdict, look.wishes, look.now)
    return verdict, action


def moved(look: Look, verdict: Verdict, action: Action) -> dict[str, Any]:
    """The fields of the rollout's record that a look and what followed from it change."""
    looked = {"verdict": verdict, "ticks": look.rollout.ticks + 1, "looked_at": look.now}
    return looked | _moved(look, verdict, action)


def _moved(look: Look, verdict: Verdict, action: Action) -> dict[str, Any]:
    match action:
        case SetWeight():
            return {
                "weight": action.weight,
                "step": action.step,
                "step_started_at": look.now,
                "step_began_with": verdict.candidate_invocations,
                "moved_at": (*look.rollout.moved_at, look.now),
                "shifting_since": look.rollout.shifting_since or look.now,
            }
        case Promote():
            return {"weight": 1.0, "phase": RolloutPhase.VERIFYING}
        case Restore():
            return {"error": action.error, "cause": action.why}
    return {}
