"""Tidegate's adaptive strategy on a virtual clock, by its own ``judge`` and ``decide``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from bench.traffic import HORIZON_MINUTES, Cell
from tidegate.core.analysis.judge import judge
from tidegate.core.decision.next_move import Promote, Restore, SetWeight, decide
from tidegate.core.model.plan import AdaptivePlan, Checks, StrategyPlan
from tidegate.core.model.record import Rollout, RolloutPhase
from tidegate.core.ports import AliasRef, Bin, Counts, Observation, Pair, PairBins

MINUTE = timedelta(minutes=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
PAIR = Pair(AliasRef("function", "live"), "1", "2")
ADAPTIVE = StrategyPlan(name="adaptive", adaptive=AdaptivePlan(at_most_seconds=24 * 3600))
CHECKS = Checks()
_LAG_MINUTES = 1  # a minute is published when the next has closed


@dataclass(frozen=True)
class Run:
    """How one rollout went."""

    harmed: float  # requests within the horizon that would have succeeded with stable
    restored_after: int | None = None  # minutes
    promoted_after: int | None = None


def run(cell: Cell, seed: int) -> Run:
    """One rollout: users come by the minute, Tidegate looks at its end."""
    rng = np.random.default_rng(seed)
    record = Rollout(
        release_id="bench-1",
        stage="prod",
        target="000000000000/eu-west-1",
        phase=RolloutPhase.SHIFTING,
        started_at=START,
    )
    bins: list[Bin] = []
    for minute in range(HORIZON_MINUTES):
        now = START + minute * MINUTE
        published = tuple(bins[: max(0, minute - _LAG_MINUTES)])
        seen = Observation(
            (PairBins(PAIR, published),), requests_per_second=cell.requests_per_second
        )
        verdict = judge(seen, CHECKS)
        match decide(ADAPTIVE, CHECKS, record, verdict, (), now):
            case Restore():
                return Run(_harmed(cell, bins), restored_after=minute)
            case Promote():
                left = (HORIZON_MINUTES - minute) * cell.per_minute * cell.excess
                return Run(_harmed(cell, bins) + left, promoted_after=minute)
            case SetWeight(weight=weight, step=step):
                record = record.model_copy(
                    update={
                        "weight": weight,
                        "step": step,
                        "step_started_at": now,
                        "shifting_since": record.shifting_since or now,
                    }
                )
            case _:
                pass
        bins.append(_minute(rng, cell, record.weight, now))
    return Run(_harmed(cell, bins))


def _minute(rng: np.random.Generator, cell: Cell, weight: float, start: datetime) -> Bin:
    requests = int(rng.poisson(cell.per_minute))
    candidate = int(rng.binomial(requests, weight))
    stable = requests - candidate
    return Bin(
        start,
        Counts(stable, int(rng.binomial(stable, cell.stable_rate))),
        Counts(candidate, int(rng.binomial(candidate, cell.candidate_rate))),
    )


def _harmed(cell: Cell, bins: list[Bin]) -> float:
    return cell.excess * sum(one.candidate.invocations for one in bins)
