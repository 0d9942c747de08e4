"""Always-valid tests over bins of requests: e-processes, which may be looked at after every bin.

An e-process is a wager against a hypothesis that cannot be expected to win while the hypothesis
holds. By Ville's inequality the chance that it ever reaches ``1/alpha`` is at most ``alpha``,
however often one looks and whatever the weights do meanwhile. All values here are natural
logarithms, so nothing overflows.

Given how many requests each version got in a bin and how many events (failures, slow requests)
there were in all, the events of a candidate that is no worse are hypergeometric. Hoeffding's
comparison of sampling with and without replacement (1963) then bounds the expectation of each bin's
factor by 1. Requests within a bin are taken for independent; from bin to bin nothing is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

ERROR_ODDS = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1000.0)
"""By how much the odds of a failure may have risen: what the wager on errors is spread over."""

LATENCY_ODDS = (1.2, 1.5, 2.0, 3.0, 5.0, 10.0)
"""The same for the odds of being slower than an edge."""

HARMLESS_RATE = 0.01
"""A share of failures that the proof of "no worse" excludes."""

HARMLESS_RATIO = 2.0
"""Or the ratio of the candidate's share of failures to stable's that it excludes."""

EXACT_BINS = 2_000
"""With more bins than this that have events, neighbours are merged to judge within milliseconds."""

_MERGED = 16
_HARMLESS_FRACTIONS = (0.02, 0.1, 0.3, 0.6)
_BISECTIONS = 50  # to 1e-15, and never to 1 itself


Cell: TypeAlias = tuple[int, int, int, int]
"""One bin in numbers: requests and events of stable, then of the candidate."""

Stake: TypeAlias = tuple[float, float]
"""What a bin takes from the wager: ``(count, share)`` for ``count ln(1 + share (psi - 1))``."""


def stakes_of(cells: Iterable[Cell]) -> list[Stake]:
    """The smaller of ``E ln(1 + c x)`` and ``nC ln(1 + r x)`` for each cell that has requests.

    ``c`` is the candidate's share of the requests, ``r`` the share of events. Both bound the
    expectation; the smaller is the one with the smaller count in front, since ``ln(1 + k x)/k``
    falls as ``k`` rises.
    """
    return [
        (stable_events + candidate_events, candidate / (stable + candidate))
        if stable_events + candidate_events < candidate
        else (candidate, (stable_events + candidate_events) / (stable + candidate))
        for stable, stable_events, candidate, candidate_events in cells
    ]


def merged_stakes_of(cells: Sequence[Cell]) -> list[Stake]:
    """Fewer stakes, one for a run of neighbours with events, that take no less in all.

    ``E ln(1 + c x)`` alone is at least the smaller of the two, and the logarithm is concave, so the
    mean share costs more: the wager is lower at every moment, and the bound on false alarms holds.
    Neighbours have nearly the same share, so little is lost.
    """
    merged = list[Stake]()
    for begin in range(0, len(cells), _MERGED):
        count, drawn = 0, 0.0
        for stable, stable_events, candidate, candidate_events in cells[begin : begin + _MERGED]:
            events = stable_events + candidate_events
            count += events
            drawn += events * candidate / (stable + candidate)
        merged.append((count, drawn / count))
    return merged


def log_worse(
    candidate_events: int, stakes: Iterable[Stake], odds: Sequence[float] = ERROR_ODDS
) -> tuple[float, ...]:
    """The e-process "the candidate is worse", for each of the odds: gains less stakes."""
    taken = tuple(stakes)
    return tuple(
        candidate_events * math.log(psi)
        - math.fsum(count * math.log1p(share * (psi - 1.0)) for count, share in taken)
        for psi in odds
    )


def log_mean(logs: Sequence[float]) -> float:
    """The logarithm of the mean of ``exp(logs)``: a mixture of e-processes is one again."""
    highest = max(logs)
    return highest + math.log(math.fsum(math.exp(one - highest) for one in logs) / len(logs))


def log_not_above(candidate: int, candidate_errors: int, rate: float = HARMLESS_RATE) -> float:
    """The e-process against "the candidate fails at ``rate`` or more"."""
    passed = candidate - candidate_errors
    return log_mean(
        [
            candidate_errors * math.log(fraction)
            + passed * math.log((1.0 - fraction * rate) / (1.0 - rate))
            for fraction in _HARMLESS_FRACTIONS
        ]
    )


def log_not_times(cells: Iterable[Cell], ratio: float = HARMLESS_RATIO) -> float:
    """The e-process against "the candidate fails ``ratio`` times as often as stable, or more".

    An approximation for rare failures: each failure is a draw that hits the candidate in proportion
    to its requests.
    """
    won, errors = 0.0, 0
    for stable, stable_errors, candidate, candidate_errors in cells:
        drawn = stable_errors + candidate_errors
        won += drawn * math.log1p(candidate / (stable + candidate) * (ratio - 1.0))
        errors += candidate_errors
    return won - errors * math.log(ratio)


def highest_rate(requests: int, errors: int, log_odds: float = math.log(10.0)) -> float:
    """The highest share of failures that the counts do not speak against by more than ``log_odds``.

    The largest ``q`` with ``n KL(errors/n || q) <= log_odds``, by bisection; 1 without requests.
    """
    if not requests:
        return 1.0
    low, high = errors / requests, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if _spoken_against(requests, errors, middle) <= log_odds:
            low = middle
        else:
            high = middle
    return low


def _spoken_against(requests: int, errors: int, rate: float) -> float:
    """``n KL(errors/n || rate)``, in nats."""
    passed = requests - errors
    against = 0.0
    if errors:
        against += errors * math.log(errors / requests / rate)
    if passed:
        against += passed * (math.log(passed / requests) - math.log1p(-rate))
    return against
