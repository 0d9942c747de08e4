"""What holds for every verdict, whatever was counted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from core_values import checks
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.analysis.judge import judge, worst
from tidegate.core.model.plan import Checks, ComparedPolicy, MetricStat
from tidegate.core.model.record import Judgement
from tidegate.core.ports import AliasRef, Bin, Compared, Counts, Observation, Pair, PairBins

START = datetime(2026, 3, 1, tzinfo=UTC)


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    invocations = draw(st.integers(0, 2000))
    return Counts(invocations, draw(st.integers(0, invocations)))


@st.composite
def pairs(draw: st.DrawFn) -> PairBins:
    served = draw(st.lists(st.tuples(counts(), counts()), max_size=6))
    return PairBins(
        Pair(AliasRef(draw(st.sampled_from("fgh")), "live"), "1", "2"),
        tuple(
            Bin(START + timedelta(minutes=minute), stable, candidate)
            for minute, (stable, candidate) in enumerate(served)
        ),
        before=draw(counts()),
    )


observed = st.lists(pairs(), max_size=4).map(tuple)


@given(observed, checks)
def test_a_judgement_is_total_and_gives_its_reasons(
    seen: tuple[PairBins, ...], limits: Checks
) -> None:
    verdict = judge(Observation(seen), limits)
    candidate = [one.candidate for pair in seen for one in pair.bins]
    assert verdict.reasons
    assert verdict.candidate_invocations == sum(one.invocations for one in candidate)
    assert verdict.candidate_errors == sum(one.errors for one in candidate)
    assert [one.test for one in verdict.evidence] == ["errors"]
    if verdict.judgement is Judgement.HEALTHY:
        assert verdict.candidate_invocations >= limits.errors.min_samples


@given(observed, checks)
def test_is_unhealthy_only_with_evidence_and_two_failures(
    seen: tuple[PairBins, ...], limits: Checks
) -> None:
    verdict = judge(Observation(seen), limits)
    proven = verdict.evidence[0].reached and verdict.candidate_errors >= 2
    assert (verdict.judgement is Judgement.UNHEALTHY) == proven


@given(observed, checks)
def test_a_candidate_that_does_not_fail_is_never_unhealthy(
    seen: tuple[PairBins, ...], limits: Checks
) -> None:
    spotless = tuple(
        PairBins(
            pair.pair,
            tuple(Bin(o.start, o.stable, Counts(o.candidate.invocations)) for o in pair.bins),
        )
        for pair in seen
    )
    assert judge(Observation(spotless), limits).judgement is not Judgement.UNHEALTHY


@given(observed, checks, st.sets(st.text()), st.sets(st.text()))
def test_only_an_alarm_that_is_new_makes_unhealthy(
    seen: tuple[PairBins, ...], limits: Checks, firing: set[str], baseline: set[str]
) -> None:
    without = judge(Observation(seen), limits).judgement
    alarmed = Observation(seen, firing=tuple(firing), baseline=tuple(baseline))
    alarm = Judgement.UNHEALTHY if firing - baseline else Judgement.HEALTHY
    assert judge(alarmed, limits).judgement is worst(without, alarm)


@given(st.lists(pairs(), min_size=1, max_size=4).map(tuple), checks)
def test_a_metric_by_version_is_proven_worse_exactly_when_errors_with_its_counts_are(
    seen: tuple[PairBins, ...], limits: Checks
) -> None:
    alone = tuple(replace(pair, before=Counts()) for pair in seen)
    stat = MetricStat(namespace="S", metric="M")
    policy = ComparedPolicy(name="m", events=stat, max_increase=limits.errors.max_increase)
    both = limits.model_copy(update={"compared": (policy,)})
    found = judge(Observation(alone, compared=(Compared("m", alone),)), both)
    errors, compared = found.evidence
    assert (errors.log_e, errors.log_bound) == (compared.log_e, compared.log_bound)
    assert errors.log_bound > judge(Observation(alone), limits).evidence[0].log_bound
