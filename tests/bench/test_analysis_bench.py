"""The bench measures the product: the same numbers, the same code, and fast enough."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from bench.codedeploy import FIXED, KNOWN, best
from bench.false_alarms import CLIMATES, share
from bench.ours import run
from bench.traffic import CELLS, Cell
from bench.vectorised import log_e
from tidegate.core.analysis.judge import judge
from tidegate.core.model.plan import Checks
from tidegate.core.ports import AliasRef, Bin, Counts, Observation, Pair, PairBins

START = datetime(2026, 1, 1, tzinfo=UTC)


def pair(function: str, rows: np.ndarray) -> PairBins:  # type: ignore[type-arg]
    """Bins of one function; a row has stable's and the candidate's requests and failures."""
    return PairBins(
        Pair(AliasRef(function, "live"), "1", "2"),
        tuple(
            Bin(START + timedelta(minutes=minute), Counts(*row[:2]), Counts(*row[2:]))
            for minute, row in enumerate(rows.tolist())
        ),
    )


def traffic(runs: int, minutes: int, rate: float) -> np.ndarray:  # type: ignore[type-arg]
    rng = np.random.default_rng(11)
    stable = rng.poisson(540, (runs, minutes)) + 1
    candidate = rng.poisson(60, (runs, minutes))
    failed = (rng.binomial(stable, 0.001), rng.binomial(candidate, rate))
    return np.stack([stable, failed[0], candidate, failed[1]], axis=-1)


@pytest.mark.parametrize("rate", [0.001, 0.02, 1.0])
def test_many_runs_at_once_are_judged_as_the_product_judges_each(rate: float) -> None:
    seen = traffic(runs=5, minutes=60, rate=rate)
    vectorised = log_e(*(seen[..., column] for column in range(4)))
    for number, rows in enumerate(seen):
        for evaluation in (1, 7, 60):
            verdict = judge(Observation((pair("f", rows[:evaluation]),)), Checks())
            expected = verdict.evidence[0].log_e
            assert vectorised[number, evaluation - 1] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("cell", [c for c in CELLS if c.name == "all fail"], ids=str)
def test_a_total_failure_harms_about_the_budget(cell: Cell) -> None:
    runs = [run(cell, seed) for seed in range(30)]
    assert all(one.restored_after is not None for one in runs)
    assert 5 < np.mean([one.harmed for one in runs]) < 20


def test_a_good_release_is_promoted_within_half_an_hour() -> None:
    runs = [run(Cell(10, 0.001, 0.001, "none"), seed) for seed in range(30)]
    assert all(one.promoted_after is not None and one.promoted_after <= 30 for one in runs)


@pytest.mark.parametrize("climate", CLIMATES)
def test_false_alarms_are_rare(climate: str) -> None:
    assert share(10, 0.001, climate, runs=200, seed=3, grows=True) <= 0.03


def test_codedeploy_gets_the_alarm_that_serves_it_best() -> None:
    cell = CELLS[1]
    fixed, known = (best(cell, 200, 1, family) for family in (FIXED, KNOWN))
    assert 5 < known.harmed <= fixed.harmed < 100
    assert known.variant != "none"
