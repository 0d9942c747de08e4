"""How long one evaluation at a big stack takes to judge."""

from __future__ import annotations

import time
from datetime import timedelta

import numpy as np

from bench.ours import START
from tidegate.core.analysis.judge import judge
from tidegate.core.model.plan import Checks
from tidegate.core.ports import AliasRef, Bin, Counts, Observation, Pair, PairBins

FUNCTIONS, MINUTES = 100, 1440
MOST_SECONDS = 0.05
_TRIES = 7


def seconds() -> float:
    """The processor time of a judgement of a day of a hundred functions; the best of some tries."""
    rng = np.random.default_rng(1)
    seen = Observation(tuple(_function(rng, number) for number in range(FUNCTIONS)))
    spent = []
    for _ in range(_TRIES):
        begun = time.process_time()
        judge(seen, Checks())
        spent.append(time.process_time() - begun)
    return min(spent)


def _function(rng: np.random.Generator, number: int) -> PairBins:
    """Ten requests a second, a tenth to the candidate, one in a thousand fails."""
    stable, candidate = rng.poisson(540, MINUTES).tolist(), rng.poisson(60, MINUTES).tolist()
    failed = rng.binomial(stable, 0.001).tolist(), rng.binomial(candidate, 0.001).tolist()
    rows = zip(stable, failed[0], candidate, failed[1], strict=True)
    return PairBins(
        Pair(AliasRef(f"function-{number}", "live"), "1", "2"),
        tuple(
            Bin(START + timedelta(minutes=minute), Counts(*row[:2]), Counts(*row[2:]))
            for minute, row in enumerate(rows)
        ),
    )
