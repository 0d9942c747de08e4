"""Traffic by the minute: what a cell of the bench is, and its requests and failures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HORIZON_MINUTES = 60
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    """One line of the table."""

    requests_per_second: float
    stable_rate: float
    candidate_rate: float
    name: str  # of the fault

    @property
    def excess(self) -> float:
        """The share of the candidate's requests that it harms."""
        return self.candidate_rate - self.stable_rate

    @property
    def per_minute(self) -> float:
        """Requests a minute, on the average."""
        return self.requests_per_second * 60


CELLS = (
    Cell(1, 0.001, 0.051, "+5 points"),
    Cell(10, 0.001, 0.051, "+5 points"),
    Cell(10, 0.001, 1.0, "all fail"),
    Cell(10, 0.01, 0.06, "+5 points"),
    Cell(10, 0.01, 0.02, "2x"),
    Cell(100, 0.001, 0.051, "+5 points"),
    Cell(100, 0.001, 1.0, "all fail"),
    Cell(100, 0.001, 0.005, "5x"),
)


def minutes(
    rng: np.random.Generator, cell: Cell, weights: NDArray[np.float64], runs: int
) -> tuple[Counts, Counts, Counts, Counts]:
    """Requests and failures of stable and candidate, by run and minute, with these weights."""
    requests = rng.poisson(cell.per_minute, (runs, len(weights)))
    candidate = rng.binomial(requests, weights)
    stable = requests - candidate
    return (
        stable,
        rng.binomial(stable, cell.stable_rate),
        candidate,
        rng.binomial(candidate, cell.candidate_rate),
    )
