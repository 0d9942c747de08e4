"""Metrics of the user, against the bounds that the manifest gives them."""

from __future__ import annotations

from datetime import timedelta

from tidegate.core.model.plan import MetricPolicy
from tidegate.core.model.record import Judgement
from tidegate.core.ports import MetricSeries, Observation

_LATE = timedelta(minutes=3)  # so much later than Lambda's may the metrics of others come


def judge_metric(policy: MetricPolicy, seen: Observation) -> tuple[Judgement, str]:
    """What the latest periods of the metric say; without data it says nothing, which is no health.

    A metric is unhealthy when ``policy.periods`` periods in a row lie beyond a bound.
    """
    name = policy.query.name
    series = next((one for one in seen.metrics if one.name == name), MetricSeries(name))
    latest = _latest(policy, series, seen)
    if not latest:
        return Judgement.INSUFFICIENT_TRAFFIC, f"{name} has no data since the shift began"
    allowed = _allowed(policy, series)
    beyond = [value for value in latest if not _within(allowed, value)]
    said = f"{name} is {latest[-1]:g}, {bounds(allowed)}"
    if allowed != policy:
        said = f"{said} as before the shift"
    if len(beyond) == policy.periods:
        return Judgement.UNHEALTHY, f"{said}, for {policy.periods} periods in a row"
    if beyond:
        return Judgement.UNDECIDED, f"{said}, for {len(beyond)} of {policy.periods} periods"
    return Judgement.HEALTHY, said


def _latest(policy: MetricPolicy, series: MetricSeries, seen: Observation) -> list[float]:
    """The values of the last periods, the latest last, with what missing ones are taken for."""
    if policy.missing is None:
        return [one.value for one in series.values[-policy.periods :]]
    known = {one.start: one.value for one in series.values}
    ends = [pair.bins[-1].start - _LATE for pair in seen.pairs if pair.bins]
    if not (known or ends):
        return [policy.missing]
    last = max([*known, *ends])
    back = (last - number * seen.period for number in reversed(range(policy.periods)))
    return [known.get(start, policy.missing) for start in back]


def _allowed(policy: MetricPolicy, series: MetricSeries) -> MetricPolicy:
    """With an upper bound no lower than what was reached before the shift, where that counts."""
    before, at_most = series.before, policy.at_most
    if not policy.or_before or before is None or at_most is None or before <= at_most:
        return policy
    return policy.model_copy(update={"at_most": before})


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
