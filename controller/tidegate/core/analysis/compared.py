"""Metrics of the user by version, stable against candidate, by the test of errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tidegate.core.analysis.errors import Weighed, chance_of, comparison, perhaps_chance, weigh
from tidegate.core.analysis.phrasing import plain, rated, standing
from tidegate.core.model.plan import ComparedPolicy, WorseWhen
from tidegate.core.model.record import Evidence, Judgement
from tidegate.core.ports import Bin, Compared, Counts, PairBins

_DOES = {WorseWhen.MORE: "has", WorseWhen.FEWER: "lacks"}


@dataclass(frozen=True, slots=True)
class ComparedFindings:
    """What one metric says; no evidence where there was nothing to compare."""

    judgement: Judgement
    reason: str
    evidence: Evidence | None = None


def judge_compared(
    policy: ComparedPolicy, seen: Sequence[Compared], alpha: float
) -> ComparedFindings:
    """What the metric says of the candidate; ``alpha`` is its chance of a false alarm.

    Without data it says nothing, which is no health.
    """
    found = next((one for one in seen if one.name == policy.name), None)
    if found is None:
        reason = f"{policy.name} was not looked at"
        return ComparedFindings(Judgement.INSUFFICIENT_TRAFFIC, reason)
    if not found.pairs:
        reason = f"{policy.name}: {policy.function} stays as it is, so nothing is to compare"
        return ComparedFindings(Judgement.HEALTHY, reason)
    pairs = [_harm(pair, policy) for pair in found.pairs]
    weighed = weigh(pairs, policy.name, policy.max_increase, alpha)
    judgement, reason = _say(weighed, policy)
    if judgement is not Judgement.UNHEALTHY and (impossible := _impossible(found)):
        judgement, reason = Judgement.UNDECIDED, impossible
    return ComparedFindings(judgement, f"{policy.name}: {reason}", weighed.evidence)


def _harm(pair: PairBins, policy: ComparedPolicy) -> PairBins:
    """With the bad part of each total as its errors, in the periods that can be."""
    return replace(
        pair,
        bins=tuple(
            Bin(one.start, _bad(one.stable, policy), _bad(one.candidate, policy))
            for one in pair.bins
            if _is_share(one)
        ),
    )


def _bad(counts: Counts, policy: ComparedPolicy) -> Counts:
    if policy.worse_when is WorseWhen.MORE:
        return counts
    return Counts(counts.invocations, counts.invocations - counts.errors)


def _is_share(one: Bin) -> bool:
    return all(0 <= of.errors <= of.invocations for of in (one.stable, one.candidate))


def _impossible(found: Compared) -> str:
    """Why the metric's events cannot be a share of its total; empty when they can."""
    for pair in found.pairs:
        for one in pair.bins:
            if not _is_share(one):
                worst = max(one.stable, one.candidate, key=lambda of: of.errors - of.invocations)
                return (
                    f"{worst.errors:,} events of a total of {worst.invocations:,} at"
                    f" {one.start:%H:%M}: they must be counted among it"
                )
    return ""


def _say(weighed: Weighed, policy: ComparedPolicy) -> tuple[Judgement, str]:
    candidate, does = weighed.whole.candidate, _DOES[policy.worse_when]
    if weighed.proven:
        said = comparison(weighed.suspect, plain, does)
        return Judgement.UNHEALTHY, f"{said}; {chance_of(weighed)}"
    if candidate.invocations < policy.min_samples:
        return Judgement.INSUFFICIENT_TRAFFIC, (
            f"candidate has a total of {candidate.invocations:,}"
            f" of the {policy.min_samples:,} that a judgement needs"
        )
    said = f"{comparison(weighed.whole, rated, does)}; e-value {standing(weighed.evidence)}"
    if weighed.exceeds(policy.max_increase):
        return Judgement.UNDECIDED, f"{said}; {perhaps_chance(weighed, policy.max_increase)}"
    return Judgement.HEALTHY, said
