"""The next move of a rollout: a pure function of its plan, its record, a verdict and the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from tidegate.core.errors import Aborted, Unhealthy
from tidegate.core.plan import Checks, StrategyPlan, TooFew
from tidegate.core.quantities import write_duration, write_share
from tidegate.core.record import Judgement, Rollout, Verdict, Wish

EXTENSION_SLICE = timedelta(minutes=1)  # an extended bake is looked at again this soon


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
    wishes: Sequence[Wish],
    now: datetime,
) -> Action:
    """The next move. It depends on its arguments only, so a crashed tick can simply run again.

    Safety comes first: an abort, then an unhealthy verdict, end the rollout in any state. No step
    is skipped, and a weight falls only by ``Restore``.
    """
    for wish in wishes:
        if wish.verb == "abort":
            return Restore(Aborted.__name__, f"{wish.who}: {wish.reason}")
    if verdict.judgement is Judgement.UNHEALTHY:
        return Restore(Unhealthy.__name__, "; ".join(verdict.reasons))
    if rollout.step < 0:
        return _go_to(strategy, 0, "the shift begins")
    if rollout.step >= len(strategy.steps):
        return _go_to(strategy, rollout.step, "all steps are done")
    if rollout.step_started_at is None:
        return _go_to(strategy, rollout.step, "the step's start was not recorded")
    return _after_step(strategy, checks, rollout.step, now - rollout.step_started_at, verdict)


def _after_step(
    strategy: StrategyPlan, checks: Checks, index: int, elapsed: timedelta, verdict: Verdict
) -> Action:
    bake = timedelta(seconds=strategy.steps[index].bake_seconds)
    # A clock that went back must not make the bake longer than it is.
    left = min(bake - elapsed, bake)
    at = f"at {write_share(strategy.steps[index].weight)}"
    if left > timedelta(0):
        return Hold(left, f"baking {at}, {write_duration(left)} left")
    if verdict.judgement is Judgement.HEALTHY:
        return _go_to(strategy, index + 1, f"healthy {at}: {'; '.join(verdict.reasons)}")
    reasons = "; ".join(verdict.reasons) or verdict.judgement.value
    extension_left = timedelta(seconds=checks.errors.extend_seconds) + left
    if extension_left > timedelta(0):
        wait = min(extension_left, EXTENSION_SLICE)
        return Hold(wait, f"bake {at} extended, {write_duration(extension_left)} left: {reasons}")
    if checks.errors.when_too_few is TooFew.PROMOTE:
        return _go_to(strategy, index + 1, f"going on {at} without a judgement: {reasons}")
    return Restore(Unhealthy.__name__, f"no judgement {at} after the extended bake: {reasons}")


def _go_to(strategy: StrategyPlan, index: int, why: str) -> SetWeight | Promote:
    if index >= len(strategy.steps):
        return Promote(why)
    step = strategy.steps[index]
    return SetWeight(step.weight, timedelta(seconds=step.bake_seconds), why, index)
