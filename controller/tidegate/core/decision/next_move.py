"""The next move of a rollout: a pure function of its plan, its record, a verdict and the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from tidegate.core.approval.identity import identify
from tidegate.core.decision.adaptive import first_weight, is_another, next_weight
from tidegate.core.errors import Aborted, Unhealthy
from tidegate.core.model.plan import AdaptivePlan, Checks, Step, StrategyPlan, TooFew
from tidegate.core.model.record import Judgement, OperatorRequest, Rollout, Verdict
from tidegate.core.text.quantities import write_duration, write_share

LASTING = frozenset({"abort", "pause"})
"""Operator requests that hold until they are taken back; any other counts once for each rollout."""

PAUSED_INTERVAL = timedelta(
    hours=1
)  # a paused rollout is looked at as often as any, for its health
EXTENSION_SLICE = timedelta(minutes=1)  # an extended bake is looked at again this soon
EVALUATION_INTERVAL = timedelta(
    minutes=1
)  # how long an adaptive weight is held before it is thought over


@dataclass(frozen=True, slots=True)
class SetWeight:
    """Give the candidate this share of the traffic and watch it for ``bake``."""

    weight: float
    bake: timedelta
    why: str
    step: int  # index of the step that this begins


@dataclass(frozen=True, slots=True)
class Hold:
    """Change nothing, and look again after ``wait`` at the latest."""

    wait: timedelta
    why: str
    probe: bool = False  # and send probes meanwhile


@dataclass(frozen=True, slots=True)
class Promote:
    """Make the candidate the stable version."""

    why: str


@dataclass(frozen=True, slots=True)
class Restore:
    """Give all traffic back to the stable version; ``error`` names the class in ``errors``."""

    error: str
    why: str


Action: TypeAlias = SetWeight | Hold | Promote | Restore


def decide(  # noqa: PLR0917  # the order is the data's way: plan, record, observation, time
    strategy: StrategyPlan,
    checks: Checks,
    rollout: Rollout,
    verdict: Verdict,
    operator_requests: Sequence[OperatorRequest],
    now: datetime,
) -> Action:
    """The next move. It depends on its arguments only, so a crashed tick can simply run again.

    Safety comes first: an abort, then an unhealthy verdict, end the rollout in any state. Only a
    person skips a step or a bake. The weight of a step falls only by ``Restore``; an adaptive one
    also when what was seen leaves room for more harm than the budget.
    """
    by_verb = {request.verb: request for request in operator_requests}
    if abort := by_verb.get("abort"):
        return Restore(Aborted.__name__, f"{identify(abort.who)}: {abort.reason}")
    if verdict.judgement is Judgement.UNHEALTHY:
        return Restore(Unhealthy.__name__, "; ".join(verdict.reasons))
    return _asked(strategy, rollout, by_verb) or _planned(strategy, checks, rollout, verdict, now)


def _asked(
    strategy: StrategyPlan, rollout: Rollout, operator_requests: Mapping[str, OperatorRequest]
) -> SetWeight | Hold | Promote | None:
    """What operators want of the traffic, the furthest first; None leaves it to the plan."""
    if full := operator_requests.get("promote-full"):
        return Promote(f"{_by(full)} promoted it fully")
    if request := operator_requests.get("promote"):
        return _go_to(strategy, rollout.step + 1, f"{_by(request)} promoted it")
    request = operator_requests.get("set-weight")
    if request and rollout.weight < request.weight <= highest_weight(strategy):
        return _set_weight(strategy, rollout, request)
    if pause := operator_requests.get("pause"):
        return Hold(PAUSED_INTERVAL, f"{_by(pause)} paused it")
    return None


def highest_weight(strategy: StrategyPlan) -> float:
    """The greatest weight that the plan gives a candidate before its promotion."""
    if strategy.adaptive is not None:
        return strategy.adaptive.highest_weight
    return max((step.weight for step in strategy.steps), default=0.0)


def _set_weight(strategy: StrategyPlan, rollout: Rollout, request: OperatorRequest) -> SetWeight:
    """Any weight up to the plan's last one; the step is the last one that does not exceed it."""
    if strategy.adaptive is not None:
        return SetWeight(
            request.weight, EVALUATION_INTERVAL, f"{_by(request)} set the weight", rollout.step + 1
        )
    reached = [i for i, step in enumerate(strategy.steps) if step.weight <= request.weight]
    step = max([rollout.step, 0, *reached])
    bake = timedelta(seconds=strategy.steps[step].bake_seconds)
    return SetWeight(request.weight, bake, f"{_by(request)} set the weight", step)


def _by(request: OperatorRequest) -> str:
    who = str(identify(request.who))
    return f"{who} ({request.reason})" if request.reason else who


def _planned(
    strategy: StrategyPlan, checks: Checks, rollout: Rollout, verdict: Verdict, now: datetime
) -> Action:
    if strategy.adaptive is not None:
        return _adapt(strategy.adaptive, checks, rollout, verdict, now)
    return _step(strategy, checks, rollout, verdict, now)


def _step(
    strategy: StrategyPlan, checks: Checks, rollout: Rollout, verdict: Verdict, now: datetime
) -> Action:
    if rollout.step < 0:
        return _go_to(strategy, 0, "the shift begins")
    if rollout.step >= len(strategy.steps):
        return _go_to(strategy, rollout.step, "all steps are done")
    if rollout.step_started_at is None:
        return _go_to(strategy, rollout.step, "the step's start was not recorded")
    return _after_step(strategy, checks, rollout, now - rollout.step_started_at, verdict)


def _after_step(
    strategy: StrategyPlan, checks: Checks, rollout: Rollout, elapsed: timedelta, verdict: Verdict
) -> Action:
    step = strategy.steps[rollout.step]
    bake = timedelta(seconds=step.bake_seconds)
    # A clock that went back must not make the bake longer than it is.
    left = min(bake - elapsed, bake)
    at = f"at {write_share(step.weight)}"
    healthy = verdict.judgement is Judgement.HEALTHY
    served = max(0, verdict.candidate_invocations - rollout.step_began_with)
    if left > timedelta(0) and not (healthy and 0 < step.samples <= served):
        return Hold(left, f"baking {at}, {write_duration(left)} left{_samples(step, served)}")
    if healthy:
        why = f"healthy {at}: {'; '.join(verdict.reasons)}"
        return _go_to(strategy, rollout.step + 1, why)
    return _extend(checks, left, at, verdict) or _go_to(
        strategy, rollout.step + 1, _unjudged(at, verdict)
    )


def _samples(step: Step, served: int) -> str:
    return f" at most, {served:,} of {step.samples:,} samples" if step.samples else ""


def _extend(checks: Checks, left: timedelta, at: str, verdict: Verdict) -> Hold | Restore | None:
    """What follows a bake without a judgement; None: it goes on all the same."""
    extension_left = timedelta(seconds=checks.errors.extend_seconds) + left
    reasons = _reasons(verdict)
    if extension_left > timedelta(0):
        wait = min(extension_left, EXTENSION_SLICE)
        why = f"bake {at} extended, {write_duration(extension_left)} left: {reasons}"
        return Hold(wait, why, probe=checks.errors.when_too_few is TooFew.PROBE)
    if checks.errors.when_too_few is TooFew.PROMOTE:
        return None
    if checks.errors.when_too_few is TooFew.HOLD:
        return Hold(EXTENSION_SLICE, f"held {at} for traffic, or for a person: {reasons}")
    return Restore(Unhealthy.__name__, f"no judgement {at} after the extended bake: {reasons}")


def _reasons(verdict: Verdict) -> str:
    return "; ".join(verdict.reasons) or verdict.judgement.value


def _unjudged(at: str, verdict: Verdict) -> str:
    return f"going on {at} without a judgement: {_reasons(verdict)}"


def _adapt(
    plan: AdaptivePlan, checks: Checks, rollout: Rollout, verdict: Verdict, now: datetime
) -> Action:
    if rollout.step < 0 or rollout.shifting_since is None:
        weight = first_weight(plan, verdict.requests_per_second)
        return SetWeight(
            weight, EVALUATION_INTERVAL, f"the shift begins, {_budget(plan, verdict)}", 0
        )
    at = f"at {write_share(rollout.weight)}"
    healthy = verdict.judgement is Judgement.HEALTHY
    if healthy and verdict.no_worse and rollout.weight >= plan.highest_weight:
        return Promote(f"healthy {at}: {_reasons(verdict)}")
    at_most = timedelta(seconds=plan.at_most_seconds)
    left = min(at_most - (now - rollout.shifting_since), at_most)
    if left <= timedelta(0):
        if healthy:
            return Promote(f"healthy {at} for {write_duration(at_most)}: {_reasons(verdict)}")
        return _extend(checks, left, at, verdict) or Promote(_unjudged(at, verdict))
    weight = next_weight(plan, verdict, rollout.weight)
    if is_another(plan, weight, rollout.weight):
        return SetWeight(weight, EVALUATION_INTERVAL, _budget(plan, verdict), rollout.step + 1)
    return Hold(min(left, EVALUATION_INTERVAL), f"watching {at}: {_reasons(verdict)}")


def _budget(plan: AdaptivePlan, verdict: Verdict) -> str:
    return (
        f"at most {plan.budget:g} requests harmed until a fault is found,"
        f" at {verdict.requests_per_second:.3g} requests/s"
    )


def _go_to(strategy: StrategyPlan, index: int, why: str) -> SetWeight | Promote:
    if index >= len(strategy.steps):
        return Promote(why)
    step = strategy.steps[index]
    return SetWeight(step.weight, timedelta(seconds=step.bake_seconds), why, index)
