"""CodeDeploy's predefined configurations with CloudWatch alarms, on the same traffic.

An alarm may look at the alias or, as SAM's documentation shows, at the new version; at the number
of errors or their share; and want one to three bad minutes. Of a family of them, each cell is given
the one that harms fewest users among those that a good release survives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.traffic import HORIZON_MINUTES, Cell, minutes
from tidegate.core.model.strategy import NAMED

PRESETS = {
    name: steps for name, steps in NAMED.items() if name.startswith(("Canary10", "Linear10"))
}
FALSE_ROLLBACKS = 0.01
_COUNTS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100, 200, 400)
_SHARES = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)
_LAG_MINUTES = 2  # from the begin of a minute until its metrics are published


@dataclass(frozen=True)
class Alarm:
    """Fires when so many minutes in a row are at the threshold or above."""

    of_version: bool
    share: bool
    threshold: float
    periods: int

    def __str__(self) -> str:
        level = f"{self.threshold * 100:g} %" if self.share else f"{self.threshold:g} errors"
        where = "of the version" if self.of_version else "of the alias"
        return f"{level} {where}, {self.periods} min"


Family: TypeAlias = tuple[Alarm, ...]

FIXED: Family = tuple(
    Alarm(of_version=False, share=True, threshold=threshold, periods=periods)
    for threshold, periods in product((0.01, 0.02, 0.05, 0.1), (1, 2, 3))
)
"""What an owner may set once and for all."""

KNOWN: Family = tuple(
    Alarm(of_version=of_version, share=share, threshold=threshold, periods=periods)
    for of_version, share, periods in product((False, True), (False, True), (1, 2, 3))
    for threshold in (_SHARES if share else _COUNTS)
)
"""What an owner could set who knew the fault."""


@dataclass(frozen=True)
class Result:
    """What the best variant does to users."""

    variant: str
    harmed: float


def best(cell: Cell, runs: int, seed: int, family: Family) -> Result:
    """The variant that harms fewest, among those with few enough false rollbacks."""
    good = replace(cell, candidate_rate=cell.stable_rate)
    found = Result("none", float("inf"))
    for preset in PRESETS:
        weights, shifting = _schedule(preset)
        with_good = minutes(np.random.default_rng([seed, 1]), good, weights, runs)
        with_bad = minutes(np.random.default_rng([seed, 2]), cell, weights, runs)
        harm = np.cumsum(with_bad[2] * cell.excess, axis=1)
        for alarm in family:
            gave_up = _rolled_back(alarm, with_good, shifting) < HORIZON_MINUTES
            if gave_up.mean() > FALSE_ROLLBACKS:
                continue
            until = _rolled_back(alarm, with_bad, shifting)
            harmed = float(np.take_along_axis(harm, until[:, None] - 1, axis=1).mean())
            if harmed < found.harmed:
                found = Result(f"{preset}, {alarm}", harmed)
    return found


def _schedule(preset: str) -> tuple[NDArray[np.float64], int]:
    """The weight of each minute, and how long the deployment lasts: then nobody rolls back."""
    weights = [step.weight for step in PRESETS[preset] for _ in range(step.bake_seconds // 60)]
    rest = max(0, HORIZON_MINUTES - len(weights))
    return np.array([*weights, *[1.0] * rest][:HORIZON_MINUTES]), len(weights)


def _rolled_back(
    alarm: Alarm, seen: tuple[NDArray[np.int64], ...], shifting: int
) -> NDArray[np.int64]:
    """The minute at whose begin the traffic is back, for each run; the horizon if it never is."""
    stable, stable_errors, candidate, candidate_errors = seen
    requests = candidate if alarm.of_version else candidate + stable
    errors = candidate_errors if alarm.of_version else candidate_errors + stable_errors
    level = errors / np.maximum(requests, 1) if alarm.share else errors
    bad = level >= alarm.threshold
    fires = bad.copy()
    for back in range(1, alarm.periods):
        fires[:, back:] &= bad[:, :-back]
        fires[:, :back] = False
    at = np.argmax(fires, axis=1) + _LAG_MINUTES
    known = fires.any(axis=1) & (at < min(shifting + 1, HORIZON_MINUTES))
    return np.where(known, at, HORIZON_MINUTES)
