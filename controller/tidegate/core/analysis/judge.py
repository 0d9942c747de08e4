"""The analysis: is the candidate worse than the stable version?

Each test has a module of its own in ``analysis``; here they share one chance of a false alarm, and
the worst of them is the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.core.analysis.compared import judge_compared
from tidegate.core.analysis.errors import judge_errors
from tidegate.core.analysis.latency import judge_latency
from tidegate.core.analysis.metrics import judge_metric
from tidegate.core.model.plan import Checks
from tidegate.core.model.record import Judgement, Verdict
from tidegate.core.ports import Counts, Observation, PairBins

_BY_SEVERITY = tuple(Judgement)  # the enum lists the worst last
_RECENT = 10  # periods in which the present traffic is counted


def worst(*judgements: Judgement) -> Judgement:
    """The worst of all; no judgement at all is ``undecided``, for no data is not success."""
    return max(judgements, key=_BY_SEVERITY.index, default=Judgement.UNDECIDED)


def judge(seen: Observation, checks: Checks) -> Verdict:
    """The verdict on all pairs together.

    ``checks.alpha`` is shared by the tests that count requests: were the candidate no worse, the
    chance that one of them ever says otherwise during the rollout is at most that (union bound).
    Alarms and bounds on metrics are taken at their word.
    """
    alpha = checks.alpha / checks.tests
    # Each bin's factor has a mean of at most 1 whoever made the requests: probes share the test.
    errors = judge_errors((*seen.pairs, *seen.probes), checks.errors, alpha)
    stable_probes, candidate_probes = _served(seen.probes)
    findings = [(errors.judgement, errors.reason), *_probes(stable_probes, candidate_probes)]
    evidence = [errors.evidence]
    if checks.latency is not None:
        latency = judge_latency(seen, checks.latency, checks.errors.min_samples, alpha)
        findings.append((latency.judgement, latency.reason))
        evidence.append(latency.evidence)
    for policy in checks.compared:
        compared = judge_compared(policy, seen.compared, alpha)
        findings.append((compared.judgement, compared.reason))
        evidence += [compared.evidence] if compared.evidence else []
    findings += [judge_metric(policy, seen) for policy in checks.metrics]
    findings += [*_alarms(seen.firing, seen.baseline), *_shared(checks)]
    return Verdict(
        judgement=worst(*(judgement for judgement, _ in findings)),
        reasons=_bad_news_first(findings),
        stable_invocations=errors.stable.invocations - stable_probes.invocations,
        stable_errors=errors.stable.errors - stable_probes.errors,
        candidate_invocations=errors.candidate.invocations - candidate_probes.invocations,
        candidate_errors=errors.candidate.errors - candidate_probes.errors,
        probes=candidate_probes.invocations,
        stable_probe_errors=stable_probes.errors,
        candidate_probe_errors=candidate_probes.errors,
        evidence=tuple(evidence),
        alpha=checks.alpha,
        no_worse=errors.no_worse,
        excess_errors=errors.excess,
        requests_per_second=_requests_per_second(seen),
    )


def and_alarms(verdict: Verdict, firing: Sequence[str], baseline: Sequence[str]) -> Verdict:
    """The verdict of the last evaluation, with the alarms that fire since then."""
    findings = _alarms(firing, baseline)
    return verdict.model_copy(
        update={
            "judgement": worst(verdict.judgement, *(judgement for judgement, _ in findings)),
            "reasons": (*(reason for _, reason in findings), *verdict.reasons),
        }
    )


def _served(pairs: Sequence[PairBins]) -> tuple[Counts, Counts]:
    """The requests of both versions, of all pairs and periods."""
    bins = [one for pair in pairs for one in pair.bins]
    stable = sum((one.stable for one in bins), Counts())
    return stable, sum((one.candidate for one in bins), Counts())


def _probes(stable: Counts, candidate: Counts) -> list[tuple[Judgement, str]]:
    """Not a finding of its own, but to be told beside the errors."""
    if not candidate.invocations:
        return []
    said = (
        f"{candidate.invocations} requests to each version were probes:"
        f" candidate failed {candidate.errors}, stable {stable.errors}"
    )
    return [(Judgement.HEALTHY, said)]


def _alarms(firing: Sequence[str], baseline: Sequence[str]) -> list[tuple[Judgement, str]]:
    """An alarm that fired before the candidate had traffic proves nothing."""
    return [
        (Judgement.UNHEALTHY, f"alarm {alarm} fires and did not before the shift")
        for alarm in firing
        if alarm not in baseline
    ]


def _shared(checks: Checks) -> list[tuple[Judgement, str]]:
    """Not a finding either: how the tests share the chance of a false alarm."""
    if checks.tests == 1:
        return []
    bound = checks.tests / checks.alpha
    said = (
        f"{checks.tests} tests share a false alarm of {checks.alpha * 100:g} %:"
        f" each accuses from an e-value of {bound:,.0f}"
    )
    return [(Judgement.HEALTHY, said)]


def _bad_news_first(findings: Sequence[tuple[Judgement, str]]) -> tuple[str, ...]:
    ordered = sorted(findings, key=lambda found: -_BY_SEVERITY.index(found[0]))
    return tuple(reason for _, reason in ordered)


def _requests_per_second(seen: Observation) -> float:
    """What users send now, by the last complete periods; before there are any, by the baseline."""
    first = min((pair.bins[0].start for pair in seen.pairs if pair.bins), default=None)
    last = max((pair.bins[-1].start for pair in seen.pairs if pair.bins), default=None)
    if first is None or last is None:
        return seen.requests_per_second
    since = max(first, last - (_RECENT - 1) * seen.period)
    requests = sum(
        one.stable.invocations + one.candidate.invocations
        for pair in seen.pairs
        for one in pair.bins[-_RECENT:]
        if one.start >= since
    )
    return requests / (last + seen.period - since).total_seconds()
