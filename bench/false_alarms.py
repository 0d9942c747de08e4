"""How often the always-valid test accuses a candidate that is no worse, looked at for hours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.traffic import Counts
from bench.vectorised import log_e
from tidegate.core.analysis.errors import FEWEST_ERRORS
from tidegate.core.decision.adaptive import FASTEST_GROWTH, first_weight
from tidegate.core.model.plan import AdaptivePlan, Checks

MINUTES = 240
TRAFFIC = ((1.0, 0.001), (10.0, 0.001), (10.0, 0.01), (100.0, 0.001))
CLIMATES = ("independent", "common bursts", "common incidents")
_BURSTS, _BURST_FACTOR = 0.05, 20.0  # share of the minutes, and how much more fails in them
_INCIDENT_MINUTES, _INCIDENT_FACTOR = 30, 10.0
_MOST = 0.9


def share(
    requests_per_second: float, rate: float, climate: str, runs: int, seed: int, *, grows: bool
) -> float:
    """The share of runs in which the test ever reaches its bound."""
    rng = np.random.default_rng(seed)
    rates = _rates(rng, rate, climate, runs)
    requests = rng.poisson(requests_per_second * 60, rates.shape)
    candidate = rng.binomial(requests, _weights(requests_per_second, grows=grows))
    stable = requests - candidate
    stable_errors = rng.binomial(stable, rates)
    candidate_errors = rng.binomial(candidate, rates)
    return accused(stable, stable_errors, candidate, candidate_errors)


def accused(
    stable: Counts, stable_errors: Counts, candidate: Counts, candidate_errors: Counts
) -> float:
    """The share of runs that reach the bound of the product at any look."""
    reached = log_e(stable, stable_errors, candidate, candidate_errors) >= -np.log(Checks().alpha)
    enough = np.cumsum(candidate_errors, axis=1) >= FEWEST_ERRORS
    return float((reached & enough).any(axis=1).mean())


def _weights(requests_per_second: float, *, grows: bool) -> NDArray[np.float64]:
    """An adaptive weight that grows fourfold every two minutes, or a canary of a tenth."""
    if not grows:
        return np.full(MINUTES, 0.1)
    plan = AdaptivePlan()
    first = first_weight(plan, requests_per_second)
    grown = first * FASTEST_GROWTH ** np.minimum(np.arange(MINUTES) // 2, 10)
    return np.asarray(np.minimum(grown, plan.highest_weight))


def _rates(rng: np.random.Generator, rate: float, climate: str, runs: int) -> NDArray[np.float64]:
    """The share of failures of both versions, by run and minute."""
    rates = np.full((runs, MINUTES), rate)
    if climate == "common bursts":
        rates[rng.random(rates.shape) < _BURSTS] *= _BURST_FACTOR
    if climate == "common incidents":
        begins = rng.integers(0, MINUTES - _INCIDENT_MINUTES, (runs, 1))
        minute = np.arange(MINUTES)
        rates[(begins <= minute) & (minute < begins + _INCIDENT_MINUTES)] *= _INCIDENT_FACTOR
    return np.minimum(rates, _MOST)
