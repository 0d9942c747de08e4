"""Why a rollout went as it did: each decision with data, rule, and what would have turned it.

Pure functions from the record to values. A decision is taken again from what its tick has kept;
where that comes out otherwise than recorded, it is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from tidegate.core.analysis.metrics import bounds
from tidegate.core.decision.evaluation import ACTION_NAMES, Evaluation, Policy, evaluate, policy_of
from tidegate.core.decision.evidence_history import recorded_evaluations
from tidegate.core.insight.counterfactual import Counterfactual, counterfactuals
from tidegate.core.model.base import Model
from tidegate.core.model.plan import Checks, StrategyPlan, WhenFiringBefore
from tidegate.core.model.record import Item, Judgement, Plan, Rollout, Tick, Verdict
from tidegate.core.text.quantities import write_duration, write_share


class DecisionExplained(Model):
    """One decision of a rollout."""

    number: int
    at: datetime
    action: str  # set-weight, hold, promote, restore
    weight_before: float
    weight: float  # after it
    why: str  # as it was recorded
    rule: str  # of the policy, that led to the action
    verdict: Verdict  # with the data
    firing: tuple[str, ...] = ()  # alarms
    repeated: bool = False  # taken again from the record, with the same result
    counterfactuals: tuple[Counterfactual, ...] = ()


class RolloutExplained(Model):
    """One rollout, decision by decision."""

    stage: str
    target: str
    policy: tuple[str, ...]  # what it is decided by, in sentences
    decisions: tuple[DecisionExplained, ...] = ()
    outcome: str  # how it ended, or where it is


class ReleaseExplained(Model):
    """The rollouts of a release that have begun."""

    release: str
    rollouts: tuple[RolloutExplained, ...] = ()


def explain_release(release_id: str, items: Iterable[Item]) -> ReleaseExplained:
    """Explain all rollouts among the items, in the order of the plan that is among them too."""
    known = tuple(items)
    stages = {s.name: s for i in known if isinstance(i, Plan) for s in i.plan.stages}
    rollouts = [item for item in known if isinstance(item, Rollout)]
    rollouts.sort(key=lambda one: (stages[one.stage].order, one.started_at, one.target))
    return ReleaseExplained(
        release=release_id,
        rollouts=tuple(
            explain_rollout(policy_of(stages[rollout.stage], rollout), rollout, known)
            for rollout in rollouts
        ),
    )


def explain_rollout(policy: Policy, rollout: Rollout, items: Iterable[Item]) -> RolloutExplained:
    """Explain one rollout from its ticks among the items."""
    here = (rollout.stage, rollout.target)
    ticks = [i for i in items if isinstance(i, Tick) and (i.stage, i.target) == here]
    ticks.sort(key=lambda tick: tick.number)
    return RolloutExplained(
        stage=rollout.stage,
        target=rollout.target,
        policy=tuple(_policy_sentences(policy, rollout)),
        decisions=tuple(_decisions(policy, rollout, ticks)),
        outcome=_outcome(rollout),
    )


def _decisions(
    policy: Policy, rollout: Rollout, ticks: Sequence[Tick]
) -> Iterator[DecisionExplained]:
    weight = 0.0
    for tick, evaluation in recorded_evaluations(rollout, ticks):
        explained = DecisionExplained(
            number=tick.number,
            at=tick.at,
            action=tick.action,
            weight_before=weight,
            weight=tick.weight,
            why=tick.why,
            rule=_rule(policy, tick),
            verdict=tick.verdict,
        )
        yield explained if evaluation is None else _repeated(explained, policy, evaluation)
        weight = tick.weight


def _repeated(
    explained: DecisionExplained, policy: Policy, evaluation: Evaluation
) -> DecisionExplained:
    """With what only the data can tell: the same decision again, and what would have turned it."""
    verdict, action = evaluate(policy, evaluation)
    same = ACTION_NAMES[type(action)] == explained.action and verdict == explained.verdict
    return explained.model_copy(
        update={
            "firing": evaluation.observation.firing,
            "repeated": same,
            "counterfactuals": counterfactuals(policy, evaluation) if same else (),
        }
    )


def _rule(policy: Policy, tick: Tick) -> str:
    """The rule of ``decide`` that led to what the tick did."""
    if tick.action == "restore":
        return _rule_of_restore(policy, tick)
    return _rule_of_request(tick) or _rule_of_plan(policy, tick)


def _rule_of_plan(policy: Policy, tick: Tick) -> str:
    if tick.action == "hold":
        return _rule_of_hold(policy, tick)
    if not policy.strategy.splits:
        return "without steps the candidate gets all traffic at once"
    if tick.seen and tick.seen.step < 0:
        return "a shift begins with the first weight"
    if tick.action == "set-weight" and policy.strategy.adaptive:
        return "a weight follows the budget: the less may be wrong, the more traffic"
    return _rule_of_progress(policy, tick)


def _rule_of_restore(policy: Policy, tick: Tick) -> str:
    if tick.seen and any(request.verb == "abort" for request in tick.seen.operator_requests):
        return "an operator's abort ends a rollout at any time"
    if tick.verdict.judgement is Judgement.UNHEALTHY:
        return "an unhealthy candidate loses its traffic at any time, whatever the bake"
    return _rule_of_silence(policy)


def _rule_of_request(tick: Tick) -> str:
    """The rule that let a person move or hold the traffic; empty when the plan did."""
    if tick.seen is None:
        return ""
    asked = {request.verb: request for request in tick.seen.operator_requests}
    if "promote-full" in asked:
        return "an operator's full promotion skips all steps that are left"
    if "promote" in asked:
        return "an operator's promotion goes on to the next step, whatever the bake"
    request = asked.get("set-weight")
    if request and tick.seen.weight < request.weight == tick.weight:
        return "an operator sets any greater weight, up to the highest of the plan"
    if "pause" in asked and tick.action == "hold":
        return "an operator's pause holds the weight until it is taken back"
    return ""


def _rule_of_hold(policy: Policy, tick: Tick) -> str:
    if policy.strategy.adaptive:
        return "a weight is held until the budget allows another, or no harm is proven"
    left = _bake_left(policy, tick)
    if left > 0:
        return "a weight is held until its bake is over"
    extension = policy.checks.errors.extend_seconds
    if left + extension > 0:
        return f"a bake without a judgement is extended, by {_seconds(extension)} at most"
    return _rule_of_silence(policy)


def _rule_of_progress(policy: Policy, tick: Tick) -> str:
    if tick.verdict.judgement is not Judgement.HEALTHY:
        return _rule_of_silence(policy)
    if policy.strategy.adaptive:
        return "at the highest weight a proof of no harm promotes, and so does the longest time"
    return "a healthy candidate goes on when its bake is over"


def _rule_of_silence(policy: Policy) -> str:
    return f"no judgement when the extended bake is over: {policy.checks.errors.when_too_few}"


def _bake_left(policy: Policy, tick: Tick) -> float:
    """Seconds until the bake of the step is over, negative afterwards."""
    seen, steps = tick.seen, policy.strategy.steps
    if seen is None or seen.step_started_at is None or not 0 <= seen.step < len(steps):
        return math.inf
    return steps[seen.step].bake_seconds - (tick.at - seen.step_started_at).total_seconds()


def _policy_sentences(policy: Policy, rollout: Rollout) -> Iterator[str]:
    yield f"strategy {policy.strategy.name}: {_steps(policy.strategy)}"
    if rollout.all_at_once:
        yield f"steps were skipped: {rollout.all_at_once}"
    yield from _check_sentences(policy.checks)
    if rollout.baseline_alarms:
        yield f"not counted, for they fired before the shift: {', '.join(rollout.baseline_alarms)}"


def _steps(strategy: StrategyPlan) -> str:
    if strategy.adaptive is not None:
        plan = strategy.adaptive
        return (
            f"at most {plan.budget:g} requests harmed until a fault is found, weights up to"
            f" {write_share(plan.highest_weight)}, {_seconds(plan.at_most_seconds)} at most"
        )
    steps = [f"{write_share(s.weight)} for {_seconds(s.bake_seconds)}" for s in strategy.steps]
    return ", ".join([*steps, "then all traffic"]) if steps else "all traffic at once"


def _check_sentences(checks: Checks) -> Iterator[str]:
    errors = checks.errors
    yield (
        f"errors: worse than stable beyond chance (alpha {checks.alpha:g}) goes back;"
        f" {write_share(errors.max_increase)} over stable or less, of {errors.min_samples}"
        f" requests or more, goes on{', when proven' if errors.proof else ''}"
    )
    yield (
        f"without a judgement a bake is extended by {_seconds(errors.extend_seconds)},"
        f" then {errors.when_too_few}"
    )
    if checks.latency is not None:
        yield f"latency: {write_share(checks.latency.tolerance)} slower than stable is tolerated"
    yield from (
        f"metric {one.name}: {one.worse_when} than stable beyond chance goes back;"
        f" {write_share(one.max_increase)} worse or less, of {one.min_samples} or more, goes on"
        for one in checks.compared
    )
    yield from (f"metric {policy.query.name}: {bounds(policy)}" for policy in checks.metrics)
    if checks.tests > 1:
        bound = checks.tests / checks.alpha
        yield f"{checks.tests} tests share alpha: each accuses from an e-value of {bound:,.0f}"
    if checks.alarms:
        refuses = checks.when_firing_before is WhenFiringBefore.REFUSE
        before = "; while one fires already, no traffic moves" if refuses else ""
        yield f"alarms: {', '.join(checks.alarms)}{before}"


def _outcome(rollout: Rollout) -> str:
    if not rollout.error:
        return rollout.phase.value
    return f"{rollout.phase.value}: {rollout.error}: {rollout.cause}"


def _seconds(seconds: int) -> str:
    return write_duration(timedelta(seconds=seconds))
