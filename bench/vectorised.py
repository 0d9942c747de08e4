"""The always-valid test on many runs at once: the product's formula, which a test holds it to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.traffic import Counts
from tidegate.core.analysis.sequential import ERROR_ODDS


def log_e(
    stable: Counts, stable_errors: Counts, candidate: Counts, candidate_errors: Counts
) -> NDArray[np.float64]:
    """The evidence against the candidate after each minute, by run; both versions have requests."""
    requests = stable + candidate
    errors = stable_errors + candidate_errors
    # one: no division by zero; without requests there are neither errors nor a stake
    share = candidate / np.maximum(requests, 1)
    rate = errors / np.maximum(requests, 1)
    logs = []
    for psi in ERROR_ODDS:
        stakes = np.minimum(
            errors * np.log1p(share * (psi - 1)), candidate * np.log1p(rate * (psi - 1))
        )
        logs.append(np.cumsum(candidate_errors * np.log(psi) - stakes, axis=1))
    highest = np.max(logs, axis=0)
    mean = np.mean(np.exp(np.array(logs) - highest), axis=0)
    return np.asarray(highest + np.log(mean))
