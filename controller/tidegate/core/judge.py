"""The analysis: is the candidate worse than the stable version?

This is a threshold on the difference of the error rates, plus alarms. All comparisons are exact, so
a rate on the bound itself is healthy.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from tidegate.core.plan import Checks, ErrorPolicy
from tidegate.core.ports import Counts, PairCounts
from tidegate.core.record import Judgement, Verdict

_BY_SEVERITY = tuple(Judgement)  # the enum lists the worst last


def worst(*judgements: Judgement) -> Judgement:
    """The worst of all; no judgement at all is ``undecided``, for no data is not success."""
    return max(judgements, key=_BY_SEVERITY.index, default=Judgement.UNDECIDED)


def judge(
    counts: Sequence[PairCounts], firing: Sequence[str], baseline: Sequence[str], checks: Checks
) -> Verdict:
    """The verdict on all pairs together.

    Parameters
    ----------
    counts
        Requests and errors of each alias's two versions, in the window.
    firing
        The alarms that fire now.
    baseline
        The alarms that already fired before the candidate got any traffic; they prove nothing.
    checks
        What is allowed.
    """
    stable = sum((pair.stable for pair in counts), Counts())
    candidate = sum((pair.candidate for pair in counts), Counts())
    judgement, reason = _judge_errors(stable, candidate, checks.errors)
    new_alarms = [alarm for alarm in firing if alarm not in baseline]
    if new_alarms:
        judgement = worst(judgement, Judgement.UNHEALTHY)
    alarm_reasons = [f"alarm {alarm} fires and did not before the shift" for alarm in new_alarms]
    return Verdict(
        judgement=judgement,
        reasons=(*alarm_reasons, reason),
        stable_invocations=stable.invocations,
        stable_errors=stable.errors,
        candidate_invocations=candidate.invocations,
        candidate_errors=candidate.errors,
    )


def _judge_errors(stable: Counts, candidate: Counts, policy: ErrorPolicy) -> tuple[Judgement, str]:
    allowed = _rate(stable) + Fraction(str(policy.max_increase))
    if candidate.invocations >= policy.min_samples:
        judgement = Judgement.UNHEALTHY if _rate(candidate) > allowed else Judgement.HEALTHY
        return judgement, _comparison(stable, candidate, policy)
    if candidate.errors > allowed * policy.min_samples:
        comparison = _comparison(stable, candidate, policy)
        return Judgement.UNHEALTHY, (
            f"{comparison}; too many already, whatever the rest of {policy.min_samples} requests do"
        )
    return Judgement.INSUFFICIENT_TRAFFIC, (
        f"candidate has {candidate.invocations} of the {policy.min_samples} requests"
        f" that a judgement needs, {candidate.errors} failed"
    )


def _rate(counts: Counts) -> Fraction:
    return Fraction(counts.errors, counts.invocations) if counts.invocations else Fraction(0)


def _comparison(stable: Counts, candidate: Counts, policy: ErrorPolicy) -> str:
    points = float(_rate(candidate) - _rate(stable)) * 100
    difference = f"{abs(points):.1f} points {'more' if points >= 0 else 'fewer'}"
    return (
        f"candidate fails {_share(candidate)}, {_stable(stable)}:"
        f" {difference}, {policy.max_increase * 100:.1f} allowed"
    )


def _stable(counts: Counts) -> str:
    if not counts.invocations:
        return "stable had no requests and counts as 0.0 %"
    return f"stable {_share(counts)}"


def _share(counts: Counts) -> str:
    return f"{counts.errors} of {counts.invocations} ({float(_rate(counts)) * 100:.1f} %)"
