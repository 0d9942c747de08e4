"""Metrics of the user, against the bounds that the manifest gives them."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.core.plan import MetricPolicy
from tidegate.core.ports import MetricSeries
from tidegate.core.record import Judgement


def judge_metric(policy: MetricPolicy, seen: Sequence[MetricSeries]) -> tuple[Judgement, str]:
    """What the latest periods of the metric say; without data it says nothing, which is no health.

    A metric is unhealthy when ``policy.periods`` periods in a row lie beyond a bound.
    """
    name = policy.query.name
    values = next((one.values for one in seen if one.name == name), ())
    latest = [one.value for one in values[-policy.periods :]]
    if not latest and policy.missing is not None:
        latest = [policy.missing]
    if not latest:
        return Judgement.INSUFFICIENT_TRAFFIC, f"{name} has no data since the shift began"
    beyond = [value for value in latest if not _within(policy, value)]
    said = f"{name} is {latest[-1]:g}, {bounds(policy)}"
    if len(beyond) == policy.periods:
        return Judgement.UNHEALTHY, f"{said}, for {policy.periods} periods in a row"
    if beyond:
        return Judgement.UNDECIDED, f"{said}, for {len(beyond)} of {policy.periods} periods"
    return Judgement.HEALTHY, said


def _within(policy: MetricPolicy, value: float) -> bool:
    return (policy.at_most is None or value <= policy.at_most) and (
        policy.at_least is None or value >= policy.at_least
    )


def bounds(policy: MetricPolicy) -> str:
    """What is allowed, in words."""
    words = []
    if policy.at_least is not None:
        words.append(f"at least {policy.at_least:g}")
    if policy.at_most is not None:
        words.append(f"at most {policy.at_most:g}")
    return f"{' and '.join(words)} allowed"
