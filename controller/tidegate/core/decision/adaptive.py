"""Weights from a budget: how many requests may be harmed before a fault of the candidate is found.

A fault shows at the earliest ``DELAY_SECONDS`` after a weight is set: a minute of metrics has to
close, and to be published. Until then the candidate harms ``weight x traffic x delay x excess``
requests, where ``excess`` is how much more often it fails. Solved for the weight, that is the rule.
"""

from __future__ import annotations

from tidegate.core.model.plan import AdaptivePlan
from tidegate.core.model.record import Verdict

DELAY_SECONDS = 120.0
LOWEST_WEIGHT = 0.001
FASTEST_GROWTH = 4.0
_LEAST_EXCESS = 1e-4  # a bound below this is as good as none
_LEAST_TRAFFIC = 1e-9  # requests per second
_HYSTERESIS = 1.1  # a weight that differs by less is not worth a change of the aliases


def first_weight(plan: AdaptivePlan, requests_per_second: float) -> float:
    """The weight for a candidate of which nothing is known: it may fail at every request."""
    affordable = _affordable(plan, requests_per_second, 1.0)
    return _tidy(min(max(affordable, LOWEST_WEIGHT), plan.first_weight))


def next_weight(plan: AdaptivePlan, verdict: Verdict, weight: float) -> float:
    """The weight that the budget allows by what was seen, at most four times the present one."""
    excess = 1.0 if verdict.excess_errors is None else verdict.excess_errors
    affordable = _affordable(plan, verdict.requests_per_second, max(excess, _LEAST_EXCESS))
    wanted = min(affordable, FASTEST_GROWTH * weight)
    return _tidy(min(max(wanted, LOWEST_WEIGHT), plan.highest_weight))


def is_another(plan: AdaptivePlan, wanted: float, weight: float) -> bool:
    """The two differ by enough to move traffic for it; the highest weight is always reached."""
    if wanted == plan.highest_weight:
        return wanted != weight
    return wanted > weight * _HYSTERESIS or wanted < weight / _HYSTERESIS


def _affordable(plan: AdaptivePlan, requests_per_second: float, excess: float) -> float:
    traffic = max(requests_per_second, _LEAST_TRAFFIC)
    return plan.budget / (traffic * DELAY_SECONDS * excess)


def _tidy(weight: float) -> float:
    """As many digits as an alias needs."""
    return round(weight, 6)
