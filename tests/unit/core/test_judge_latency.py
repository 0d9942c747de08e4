"""Durations: a candidate that is slow goes back, one that is only cold does not."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tidegate.core.analysis.judge import judge
from tidegate.core.model.plan import Checks, LatencyPolicy
from tidegate.core.model.record import Judgement, Verdict
from tidegate.core.ports import (
    AliasRef,
    Bin,
    Counts,
    LatencyBin,
    Observation,
    Pair,
    PairBins,
    Slower,
)

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
EDGES_MS = (100.0, 150.0, 210.0, 260.0, 380.0)  # of the lognormal durations below
CHECKS = Checks(latency=LatencyPolicy())
Duration = Callable[[random.Random, int], float]


def usual(dice: random.Random, minute: int) -> float:
    return dice.lognormvariate(4.6, 0.57)


def slow(dice: random.Random, minute: int) -> float:
    return 1.4 * usual(dice, minute)


def within_tolerance(dice: random.Random, minute: int) -> float:
    return 1.05 * usual(dice, minute)


def cold(dice: random.Random, minute: int) -> float:
    """Most requests of the first two minutes meet an environment that has just begun."""
    return usual(dice, minute) + (900 if minute < 2 and dice.random() < 0.7 else 0)


def judged(candidate: Duration, minutes: int = 30, checks: Checks = CHECKS) -> Verdict:
    dice = random.Random(7)

    def slower(duration: Duration, minute: int, requests: int, raised: float) -> Slower:
        durations = [duration(dice, minute) for _ in range(requests)]
        counts = tuple(sum(ms > edge * raised for ms in durations) for edge in EDGES_MS)
        return Slower(requests, counts)

    starts = [START + timedelta(minutes=minute) for minute in range(minutes)]
    pair = PairBins(
        Pair(AliasRef("Hello", "live"), "1", "2"),
        bins=tuple(Bin(start, Counts(270), Counts(30)) for start in starts),
        edges_ms=EDGES_MS,
        latency=tuple(
            LatencyBin(start, slower(usual, minute, 270, 1.0), slower(candidate, minute, 30, 1.1))
            for minute, start in enumerate(starts)
        ),
    )
    return judge(Observation((pair,), moved_at=(START,)), checks)


def test_a_slow_candidate_is_unhealthy() -> None:
    found = judged(slow)
    assert found.judgement is Judgement.UNHEALTHY
    assert found.reasons[0].startswith("Hello: candidate is slower than ")
    assert "odds of seeing this by chance if it were no slower: below 1 in" in found.reasons[0]
    assert [one.test for one in found.evidence if one.reached] == ["latency"]


def test_a_candidate_that_is_only_cold_is_healthy() -> None:
    found = judged(cold)
    assert found.judgement is Judgement.HEALTHY
    assert any("within 10 % of stable's" in reason for reason in found.reasons)


def test_a_cold_start_would_look_slow_without_the_warm_up() -> None:
    impatient = Checks(latency=LatencyPolicy(warm_up_seconds=0))
    assert judged(cold, checks=impatient).judgement is Judgement.UNHEALTHY


def test_a_candidate_within_the_tolerance_is_healthy() -> None:
    assert judged(within_tolerance).judgement is Judgement.HEALTHY


def test_cold_durations_alone_are_no_judgement() -> None:
    found = judged(usual, minutes=3)
    assert found.judgement is Judgement.INSUFFICIENT_TRAFFIC
    assert "0 of the 50 durations that a judgement needs, warm ones" in found.reasons[0]


def test_the_chance_of_a_false_alarm_is_shared() -> None:
    errors, latency = judged(usual).evidence
    assert errors.log_bound == latency.log_bound
    (alone,) = judged(usual, checks=Checks()).evidence
    assert errors.log_bound > alone.log_bound
