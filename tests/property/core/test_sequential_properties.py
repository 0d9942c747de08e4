"""What makes the tests always valid, and their closed forms against scipy's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special, stats

from tidegate.core.analysis.sequential import (
    ERROR_ODDS,
    HARMLESS_RATE,
    LATENCY_ODDS,
    Cell,
    highest_rate,
    log_mean,
    log_not_above,
    log_not_times,
    log_worse,
    merged_stakes_of,
    stakes_of,
)

ODDS = (*ERROR_ODDS, *LATENCY_ODDS)
ROUNDING = 1e-9


@st.composite
def cells(draw: st.DrawFn, most: int = 10_000) -> Cell:
    """A bin with requests to both versions, and some failures."""
    stable, candidate = draw(st.integers(1, most)), draw(st.integers(1, most))
    stable_errors = draw(st.integers(0, stable))
    candidate_errors = draw(st.integers(0 if stable_errors else 1, candidate))
    return stable, stable_errors, candidate, candidate_errors


many_cells = st.lists(cells(), min_size=1, max_size=40)


def evidence(seen: list[Cell]) -> tuple[float, ...]:
    return log_worse(sum(cell[3] for cell in seen), stakes_of(seen))


def as_specified(cell: Cell, psi: float) -> float:
    """The formula as the paper has it."""
    stable, stable_errors, candidate, candidate_errors = cell
    requests, errors = stable + candidate, stable_errors + candidate_errors
    share, rate = candidate / requests, errors / requests
    return candidate_errors * math.log(psi) - min(
        errors * math.log(1 + share * (psi - 1)), candidate * math.log(1 + rate * (psi - 1))
    )


@pytest.mark.parametrize("stable", [1, 2, 5, 12])
@pytest.mark.parametrize("candidate", [1, 3, 8])
def test_expects_no_gain_from_a_candidate_that_is_no_worse(stable: int, candidate: int) -> None:
    requests = stable + candidate
    for errors in range(1, requests + 1):
        drawn = stats.hypergeom(requests, errors, candidate)
        mean = np.zeros(len(ODDS))
        for of_candidate in range(max(0, errors - stable), min(errors, candidate) + 1):
            cell = (stable, errors - of_candidate, candidate, of_candidate)
            logs = log_worse(of_candidate, stakes_of([cell]), ODDS)
            mean += drawn.pmf(of_candidate) * np.exp(logs)
        assert (mean <= 1 + ROUNDING).all()


@pytest.mark.parametrize("requests", [1, 10, 200])
def test_expects_no_gain_against_a_candidate_on_the_margin(requests: int) -> None:
    drawn = stats.binom(requests, HARMLESS_RATE)
    mean = math.fsum(
        drawn.pmf(errors) * math.exp(log_not_above(requests, errors))
        for errors in range(requests + 1)
    )
    assert mean <= 1 + ROUNDING


@given(cells(), st.sampled_from(ERROR_ODDS))
def test_one_logarithm_says_what_the_two_of_the_paper_say(cell: Cell, psi: float) -> None:
    (found,) = log_worse(cell[3], stakes_of([cell]), (psi,))
    assert found == pytest.approx(as_specified(cell, psi), rel=1e-9, abs=1e-7)


@given(many_cells)
def test_the_order_of_the_bins_does_not_matter(seen: list[Cell]) -> None:
    assert evidence(seen) == pytest.approx(evidence(seen[::-1]), rel=1e-9, abs=1e-7)


@given(many_cells, cells())
def test_rises_with_every_failure_that_moves_to_the_candidate(seen: list[Cell], cell: Cell) -> None:
    stable, stable_errors, candidate, candidate_errors = cell
    if stable_errors and candidate_errors < candidate:
        moved = (stable, stable_errors - 1, candidate, candidate_errors + 1)
        assert log_mean(evidence([*seen, moved])) > log_mean(evidence([*seen, cell]))


@given(many_cells, cells())
def test_never_falls_with_another_failure_of_the_candidate(seen: list[Cell], cell: Cell) -> None:
    stable, stable_errors, candidate, candidate_errors = cell
    if candidate_errors < candidate:
        worse = (stable, stable_errors, candidate, candidate_errors + 1)
        before, after = evidence([*seen, cell]), evidence([*seen, worse])
        assert all(new >= old - 1e-6 for new, old in zip(after, before, strict=True))


@given(st.integers(1, 10**6), st.data())
def test_two_versions_that_fail_alike_prove_nothing(requests: int, data: st.DataObject) -> None:
    errors = data.draw(st.integers(1, requests))
    alike = [(requests, errors, requests, errors)]
    assert log_mean(evidence(alike)) <= ROUNDING


@given(many_cells)
def test_merged_bins_never_say_more(seen: list[Cell]) -> None:
    errors = sum(cell[3] for cell in seen)
    merged = log_worse(errors, merged_stakes_of(seen))
    assert all(few <= all_ + 1e-6 for few, all_ in zip(merged, evidence(seen), strict=True))


@given(cells(10**9), st.floats(0, 1))
def test_stays_finite_for_a_billion_requests(cell: Cell, rate: float) -> None:
    assert all(math.isfinite(log) for log in evidence([cell] * 3))
    assert math.isfinite(log_not_times([cell]))
    assert math.isfinite(log_not_above(cell[2], cell[3]))
    assert 0 <= highest_rate(cell[2], cell[3]) <= 1


@given(st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=20))
def test_mixes_as_scipy_does(logs: list[float]) -> None:
    assert log_mean(logs) == pytest.approx(special.logsumexp(logs) - math.log(len(logs)))


@given(cells())
def test_the_ratio_is_as_specified(cell: Cell) -> None:
    stable, stable_errors, candidate, candidate_errors = cell
    share = candidate / (stable + candidate)
    at_margin = 2 * share / (1 - share + 2 * share)
    expected = candidate_errors * math.log(share / at_margin) + stable_errors * math.log(
        (1 - share) / (1 - at_margin)
    )
    assert log_not_times([cell]) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(st.integers(1, 100_000), st.data())
def test_the_highest_rate_solves_its_equation(requests: int, data: st.DataObject) -> None:
    errors = data.draw(st.integers(0, requests - 1))
    seen = errors / requests

    def against(rate: float) -> float:
        divergence = special.rel_entr(seen, rate) + special.rel_entr(1 - seen, 1 - rate)
        return float(requests * divergence - math.log(10))

    expected = optimize.brentq(against, seen, 1 - 1e-12) if against(1 - 1e-12) > 0 else 1.0
    assert highest_rate(requests, errors) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_nothing_is_excluded_without_requests() -> None:
    assert highest_rate(0, 0) == 1.0
    assert highest_rate(5, 5) == pytest.approx(1.0)
