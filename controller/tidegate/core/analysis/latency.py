"""Latency: does the candidate exceed stable's own percentiles more often than stable does?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tidegate.core.analysis.phrasing import odds, standing
from tidegate.core.analysis.sequential import (
    EXACT_BINS,
    LATENCY_ODDS,
    Cell,
    log_mean,
    log_worse,
    merged_stakes_of,
    stakes_of,
)
from tidegate.core.model.plan import LatencyPolicy
from tidegate.core.model.record import Evidence, Judgement
from tidegate.core.ports import LatencyBin, Observation, PairBins


@dataclass(frozen=True, slots=True)
class LatencyFindings:
    """What the durations say."""

    judgement: Judgement
    reason: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class _Edge:
    """One edge of one pair: how often each version is slower, and how much that proves."""

    function: str
    edge_ms: float
    log_e: float
    cells: Sequence[Cell]


def judge_latency(
    seen: Observation, policy: LatencyPolicy, min_samples: int, alpha: float
) -> LatencyFindings:
    """What the durations of warm candidates say; ``alpha`` is its chance of a false alarm.

    A new version begins cold, and so do the environments that a higher weight needs: durations
    within ``policy.warm_up_seconds`` of a new weight are left out. What remains slow is slow.
    """
    edges, samples = list[_Edge](), 0
    for pair in seen.pairs:
        warm = [one for one in pair.latency if _is_warm(one.start, seen, policy)]
        samples += sum(one.candidate.invocations for one in warm)
        edges += _edges(pair, warm)
    log_e = log_mean([edge.log_e for edge in edges]) if edges else 0.0
    evidence = Evidence(test="latency", log_e=log_e, log_bound=-math.log(alpha))
    if edges and evidence.reached:
        suspect = max(edges, key=lambda edge: edge.log_e)
        return LatencyFindings(Judgement.UNHEALTHY, _accusation(suspect, policy, log_e), evidence)
    if samples < min_samples:
        reason = f"{samples:,} of the {min_samples:,} durations that a judgement needs, warm ones"
        return LatencyFindings(Judgement.INSUFFICIENT_TRAFFIC, reason, evidence)
    reason = f"durations of {samples:,} requests within {policy.tolerance * 100:g} % of stable's"
    return LatencyFindings(Judgement.HEALTHY, f"{reason}; e-value {standing(evidence)}", evidence)


def _is_warm(start: datetime, seen: Observation, policy: LatencyPolicy) -> bool:
    warm_up = timedelta(seconds=policy.warm_up_seconds)
    return not any(
        start < moved + warm_up and start + seen.period > moved for moved in seen.moved_at
    )


def _edges(pair: PairBins, warm: Sequence[LatencyBin]) -> list[_Edge]:
    return [_edge(pair, index, edge_ms, warm) for index, edge_ms in enumerate(pair.edges_ms)]


def _edge(pair: PairBins, index: int, edge_ms: float, warm: Sequence[LatencyBin]) -> _Edge:
    cells = [
        (
            one.stable.invocations,
            one.stable.slower[index],
            one.candidate.invocations,
            one.candidate.slower[index],
        )
        for one in warm
        if one.stable.slower[index] or one.candidate.slower[index]
    ]
    comparable = [cell for cell in cells if cell[0]]
    merged = len(comparable) > EXACT_BINS
    stakes = merged_stakes_of(comparable) if merged else stakes_of(comparable)
    log_e = log_mean(log_worse(sum(cell[3] for cell in comparable), stakes, LATENCY_ODDS))
    return _Edge(pair.pair.ref.function, edge_ms, log_e, comparable)


def _accusation(edge: _Edge, policy: LatencyPolicy, log_e: float) -> str:
    stable, stable_slow, candidate, slow = (sum(column) for column in zip(*edge.cells, strict=True))
    raised = edge.edge_ms * (1 + policy.tolerance)
    return (
        f"{edge.function}: candidate is slower than {raised:.0f} ms for"
        f" {slow / candidate * 100:.1f} % of {candidate:,} requests, stable slower than"
        f" {edge.edge_ms:.0f} ms for {stable_slow / stable * 100:.1f} % of {stable:,};"
        f" odds of seeing this by chance if it were no slower: {odds(log_e)}"
    )
