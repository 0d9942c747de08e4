"""When a stage's steps would be over, by the traffic that is expected: before anything has run."""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.core.decision.adaptive import DELAY_SECONDS, first_weight
from tidegate.core.model.base import Model
from tidegate.core.model.plan import StagePlan, Step


class StepArrival(Model):
    """One step by the clock, counted from the beginning of the shift, in seconds."""

    weight: float
    begins: float
    ends: float  # with its samples, or its bake
    samples_after: float | None = None  # of the step's beginning; none: it waits for no samples
    served: float  # requests to the candidates that are known by its end, since the beginning
    judged: bool  # they are enough for a judgement; else the bake is extended


class Arrival(Model):
    """What to expect of a stage."""

    requests_per_second: float  # to all its functions together
    steps: tuple[StepArrival, ...] = ()
    promoted_after: float | None = None  # seconds; none: all at once, or by the evidence
    first_weight: float | None = None  # of an adaptive strategy


def arrival(stage: StagePlan, requests_per_second: float) -> Arrival:
    """When the steps end if this traffic stays and the candidate is healthy.

    What a minute counts is known ``DELAY_SECONDS`` after it began, at the latest.
    """
    steps = tuple(_steps(stage, requests_per_second))
    adaptive = stage.strategy.adaptive
    return Arrival(
        requests_per_second=requests_per_second,
        steps=steps,
        promoted_after=steps[-1].ends if steps else None,
        first_weight=first_weight(adaptive, requests_per_second) if adaptive else None,
    )


def _steps(stage: StagePlan, requests_per_second: float) -> Iterator[StepArrival]:
    begins = served = 0.0
    for step in stage.strategy.steps:
        per_second = requests_per_second * step.weight
        after = _samples_after(step, per_second)
        lasts = float(step.bake_seconds if after is None else min(after, step.bake_seconds))
        known = served + per_second * max(0.0, lasts - DELAY_SECONDS)
        yield StepArrival(
            weight=step.weight,
            begins=begins,
            ends=begins + lasts,
            samples_after=after,
            served=known,
            judged=known >= stage.checks.errors.min_samples,
        )
        begins, served = begins + lasts, served + per_second * lasts


def _samples_after(step: Step, per_second: float) -> float | None:
    if not step.samples or not per_second:
        return None
    return step.samples / per_second + DELAY_SECONDS
