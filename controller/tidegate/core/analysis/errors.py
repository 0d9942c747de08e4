"""Errors: is the candidate worse than stable, is it proven to be no worse, what may it harm?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tidegate.core.analysis.phrasing import odds, plain, rated, standing
from tidegate.core.analysis.sequential import (
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
from tidegate.core.model.plan import ErrorPolicy
from tidegate.core.model.record import Evidence, Judgement
from tidegate.core.ports import Counts, PairBins

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
class Tally:
    """One pair's bins, added up, or those of all pairs."""

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
        allowed = min(self.stable_share + margin, 1.0)
        return log_worse(self.candidate.errors, [*stakes, (self.alone, allowed)])

    @property
    def stable_share(self) -> float:
        """The share of stable's requests that failed; before the shift when it has none."""
        return share_of(self.stable if self.stable.invocations else self.before)


@dataclass(frozen=True, slots=True)
class Weighed:
    """The counts of all pairs, and how much they speak against the candidate."""

    whole: Tally
    suspect: Tally  # the pair that looks worst, or all of them together
    evidence: Evidence

    @property
    def proven(self) -> bool:
        """The candidate is worse."""
        return self.evidence.reached and self.whole.candidate.errors >= FEWEST_ERRORS

    @property
    def increase(self) -> float:
        """How much higher the candidate's share of failures is than stable's."""
        return share_of(self.whole.candidate) - self.whole.stable_share

    def exceeds(self, allowed: float) -> bool:
        """The candidate's share lies above stable's by more; one on the bound is allowed."""
        return self.increase > allowed + _ROUNDING


def judge_errors(pairs: Sequence[PairBins], policy: ErrorPolicy, alpha: float) -> ErrorFindings:
    """What the failures of both versions say, of all functions of a stack and of each by itself.

    ``alpha`` is the chance of a false alarm that this test may have.
    """
    weighed = weigh(pairs, "errors", policy.max_increase, alpha)
    whole = weighed.whole
    proof = _proof(whole)
    judgement, reason = _say(weighed, proof, policy)
    candidate = whole.candidate
    return ErrorFindings(
        judgement=judgement,
        reason=reason,
        stable=whole.stable,
        candidate=candidate,
        evidence=weighed.evidence,
        no_worse=bool(proof),
        excess=highest_rate(candidate.invocations, candidate.errors) - whole.stable_share,
    )


def weigh(pairs: Sequence[PairBins], test: str, margin: float, alpha: float) -> Weighed:
    """The evidence of the pairs' bins that the candidate is worse.

    ``margin`` is what the candidate may fail more where stable served nothing to compare it with.
    """
    tallies = [_tally(pair) for pair in pairs]
    whole = _whole(tallies)
    log_e, suspect = _against(tallies, whole, margin)
    evidence = Evidence(test=test, log_e=log_e, log_bound=-math.log(alpha))
    return Weighed(whole, suspect, evidence)


def _tally(pair: PairBins) -> Tally:
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
    return Tally(
        name=pair.pair.ref.function,
        stable=Counts(stable, stable_errors),
        candidate=Counts(candidate, candidate_errors),
        before=pair.before,
        alone=alone,
        cells=cells,
    )


def _whole(tallies: Sequence[Tally]) -> Tally:
    return Tally(
        name="",
        stable=sum((one.stable for one in tallies), Counts()),
        candidate=sum((one.candidate for one in tallies), Counts()),
        before=sum((one.before for one in tallies), Counts()),
        alone=sum(one.alone for one in tallies),
        cells=[cell for one in tallies for cell in one.cells],
    )


def _against(tallies: Sequence[Tally], whole: Tally, margin: float) -> tuple[float, Tally]:
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


def _proof(whole: Tally) -> str:
    """How it is proven that the candidate is no worse by a margin; empty when it is not."""
    bound = -math.log(_BETA)
    if log_not_above(whole.candidate.invocations, whole.candidate.errors) >= bound:
        return f"fewer than {HARMLESS_RATE * 100:.0f} % fail"
    if log_not_times(whole.cells) >= bound:
        return f"it fails less than {HARMLESS_RATIO:.0f} times as often as stable"
    return ""


def _say(weighed: Weighed, proof: str, policy: ErrorPolicy) -> tuple[Judgement, str]:
    candidate = weighed.whole.candidate
    if weighed.proven:
        return Judgement.UNHEALTHY, f"{comparison(weighed.suspect, plain)}; {chance_of(weighed)}"
    if candidate.invocations < policy.min_samples:
        return Judgement.INSUFFICIENT_TRAFFIC, (
            f"candidate has {candidate.invocations:,} of the {policy.min_samples:,} requests"
            f" that a judgement needs, {candidate.errors:,} failed"
        )
    said = f"{comparison(weighed.whole, rated)}; e-value {standing(weighed.evidence)}"
    if weighed.exceeds(policy.max_increase):
        return Judgement.UNDECIDED, f"{said}; {perhaps_chance(weighed, policy.max_increase)}"
    if proof:
        return Judgement.HEALTHY, f"{said}; proven no worse: {proof}"
    if policy.proof:
        return Judgement.UNDECIDED, f"{said}; not yet proven to be no worse"
    return Judgement.HEALTHY, said


def chance_of(weighed: Weighed) -> str:
    """How unlikely it is to see this of a candidate that is no worse."""
    return f"odds of seeing this by chance if it were no worse: {odds(weighed.evidence.log_e)}"


def perhaps_chance(weighed: Weighed, allowed: float) -> str:
    """Why a higher share neither goes on nor back."""
    return (
        f"{weighed.increase * 100:.1f} points more, {allowed * 100:.1f} allowed,"
        " but it may be chance"
    )


def comparison(of: Tally, write: Callable[[Counts], str], fails: str = "fails") -> str:
    """Both versions in numbers that a person can check."""
    name = f"{of.name}: " if of.name else ""
    said = f"{name}candidate {fails} {write(of.candidate)}"
    if of.stable.invocations:
        return f"{said}, stable {write(of.stable)}"
    if of.before.invocations:
        return f"{said}, stable before {write(of.before)}"
    return f"{said}, stable had no requests"


def share_of(counts: Counts) -> float:
    """The share of failures, 0 without requests."""
    return counts.errors / counts.invocations if counts.invocations else 0.0
