"""Errors: is the candidate worse than stable, is it proven to be no worse, what may it harm?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tidegate.core.analysis.words import odds, plain, rated, standing
from tidegate.core.plan import ErrorPolicy
from tidegate.core.ports import Counts, PairBins
from tidegate.core.record import Evidence, Judgement
from tidegate.core.sequential import (
    EXACT_BINS,
    HARMLESS_RATE,
    HARMLESS_RATIO,
    Cell,
    highest_rate,
    log_mean,
    log_not_above,
    log_not_times,
    log_worse,
    merged_stakes_of,
    stakes_of,
)

FEWEST_ERRORS = 2
"""One failure is never proof, however small the weight was."""

_BETA = 0.05  # chance of a proof of "no worse" although it is worse by a margin
_ROUNDING = 1e-9  # a rate on the bound itself is allowed


@dataclass(frozen=True, slots=True)
class ErrorFindings:
    """What the errors say."""

    judgement: Judgement
    reason: str
    stable: Counts
    candidate: Counts
    evidence: Evidence
    no_worse: bool
    excess: float  # upper bound of the candidate's share of failures over stable's


@dataclass(frozen=True, slots=True)
class _Tally:
    """One pair's bins, added up."""

    name: str
    stable: Counts
    candidate: Counts
    before: Counts
    alone: int  # requests to the candidate in bins without any to stable
    cells: Sequence[Cell]  # the other bins with failures

    def log_worse(self, margin: float, *, merged: bool) -> tuple[float, ...]:
        """The e-process for each of the odds.

        Where stable served nothing there is no comparison: the candidate is held against what
        stable failed at other times, and ``margin`` more.
        """
        stakes = merged_stakes_of(self.cells) if merged else stakes_of(self.cells)
        allowed = min(_rate(self.stable, self.before) + margin, 1.0)
        return log_worse(self.candidate.errors, [*stakes, (self.alone, allowed)])


def judge_errors(pairs: Sequence[PairBins], policy: ErrorPolicy, alpha: float) -> ErrorFindings:
    """What the failures of both versions say, of all functions of a stack and of each by itself.

    ``alpha`` is the chance of a false alarm that this test may have.
    """
    tallies = [_tally(pair) for pair in pairs]
    whole = _whole(tallies)
    log_e, suspect = _against(tallies, whole, policy.max_increase)
    evidence = Evidence(test="errors", log_e=log_e, log_bound=-math.log(alpha))
    proof = _proof(whole)
    judgement, reason = _say(evidence, suspect, whole, proof, policy)
    candidate = whole.candidate
    return ErrorFindings(
        judgement=judgement,
        reason=reason,
        stable=whole.stable,
        candidate=candidate,
        evidence=evidence,
        no_worse=bool(proof),
        excess=highest_rate(candidate.invocations, candidate.errors)
        - _rate(whole.stable, whole.before),
    )


def _tally(pair: PairBins) -> _Tally:
    """One pass over as much as a day of minutes for each of a hundred functions: plain and fast."""
    stable = stable_errors = candidate = candidate_errors = alone = 0
    cells = []
    for one in pair.bins:
        requests, failed = one.stable.invocations, one.stable.errors
        candidate_requests, candidate_failed = one.candidate.invocations, one.candidate.errors
        stable += requests
        candidate += candidate_requests
        if not requests:
            alone += candidate_requests
            candidate_errors += candidate_failed
        elif failed or candidate_failed:
            stable_errors += failed
            candidate_errors += candidate_failed
            cells.append((requests, failed, candidate_requests, candidate_failed))
    return _Tally(
        name=pair.pair.ref.function,
        stable=Counts(stable, stable_errors),
        candidate=Counts(candidate, candidate_errors),
        before=pair.before,
        alone=alone,
        cells=cells,
    )


def _whole(tallies: Sequence[_Tally]) -> _Tally:
    return _Tally(
        name="",
        stable=sum((one.stable for one in tallies), Counts()),
        candidate=sum((one.candidate for one in tallies), Counts()),
        before=sum((one.before for one in tallies), Counts()),
        alone=sum(one.alone for one in tallies),
        cells=[cell for one in tallies for cell in one.cells],
    )


def _against(tallies: Sequence[_Tally], whole: _Tally, margin: float) -> tuple[float, _Tally]:
    """The evidence that the candidate is worse, and the function that looks worst.

    Half of the wager is on all functions together, half is spread over each by itself: a fault of
    one function is found among many, and a small one of all of them too.
    """
    if not tallies:
        return 0.0, whole
    merged = len(whole.cells) > EXACT_BINS
    each = [one.log_worse(margin, merged=merged) for one in tallies]
    alone = [log_mean(logs) for logs in each]
    suspect = tallies[alone.index(max(alone))]
    if len(tallies) == 1:
        return alone[0], whole
    together = log_mean([math.fsum(logs) for logs in zip(*each, strict=True)])
    spread = log_mean(alone)
    return log_mean([together, spread]), suspect if spread > together else whole


def _proof(whole: _Tally) -> str:
    """How it is proven that the candidate is no worse by a margin; empty when it is not."""
    bound = -math.log(_BETA)
    if log_not_above(whole.candidate.invocations, whole.candidate.errors) >= bound:
        return f"fewer than {HARMLESS_RATE * 100:.0f} % fail"
    if log_not_times(whole.cells) >= bound:
        return f"it fails less than {HARMLESS_RATIO:.0f} times as often as stable"
    return ""


def _say(
    evidence: Evidence, suspect: _Tally, whole: _Tally, proof: str, policy: ErrorPolicy
) -> tuple[Judgement, str]:
    candidate = whole.candidate
    if evidence.reached and candidate.errors >= FEWEST_ERRORS:
        chance = f"odds of seeing this by chance if it were no worse: {odds(evidence.log_e)}"
        return Judgement.UNHEALTHY, f"{_comparison(suspect, plain)}; {chance}"
    if candidate.invocations < policy.min_samples:
        return Judgement.INSUFFICIENT_TRAFFIC, (
            f"candidate has {candidate.invocations:,} of the {policy.min_samples:,} requests"
            f" that a judgement needs, {candidate.errors:,} failed"
        )
    said = f"{_comparison(whole, rated)}; e-value {standing(evidence)}"
    increase = _rate(candidate, Counts()) - _rate(whole.stable, whole.before)
    if increase > policy.max_increase + _ROUNDING:
        return Judgement.UNDECIDED, (
            f"{said}; {increase * 100:.1f} points more, {policy.max_increase * 100:.1f} allowed,"
            " but it may be chance"
        )
    if proof:
        return Judgement.HEALTHY, f"{said}; proven no worse: {proof}"
    if policy.proof:
        return Judgement.UNDECIDED, f"{said}; not yet proven to be no worse"
    return Judgement.HEALTHY, said


def _comparison(of: _Tally, write: Callable[[Counts], str]) -> str:
    name = f"{of.name}: " if of.name else ""
    said = f"{name}candidate fails {write(of.candidate)}"
    if of.stable.invocations:
        return f"{said}, stable {write(of.stable)}"
    if of.before.invocations:
        return f"{said}, stable before {write(of.before)}"
    return f"{said}, stable had no requests"


def _rate(counts: Counts, otherwise: Counts) -> float:
    """The share of failures; of ``otherwise`` when there were no requests, 0 if there neither."""
    known = counts if counts.invocations else otherwise
    return known.errors / known.invocations if known.invocations else 0.0
