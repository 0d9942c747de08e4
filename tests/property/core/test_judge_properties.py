"""What holds for every verdict, whatever was counted."""

from core_values import checks
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.judge import judge, worst
from tidegate.core.plan import Checks
from tidegate.core.ports import AliasRef, Counts, Pair, PairCounts
from tidegate.core.record import Judgement


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    invocations = draw(st.integers(0, 2000))
    return Counts(invocations, draw(st.integers(0, invocations)))


pair_counts = st.builds(
    PairCounts, st.just(Pair(AliasRef("f", "live"), "1", "2")), counts(), counts()
)


@given(st.lists(pair_counts, max_size=4), checks)
def test_a_judgement_is_total_and_gives_its_reasons(seen: list[PairCounts], limits: Checks) -> None:
    verdict = judge(seen, (), (), limits)
    assert verdict.reasons
    assert verdict.candidate_invocations == sum(pair.candidate.invocations for pair in seen)
    if verdict.judgement is Judgement.HEALTHY:
        assert verdict.candidate_invocations >= limits.errors.min_samples


@given(counts(), counts(), checks, st.integers(0, 1000))
def test_an_early_unhealthy_judgement_stays_whatever_good_requests_follow(
    stable: Counts, candidate: Counts, limits: Checks, more: int
) -> None:
    def judged(seen: Counts) -> Judgement:
        pair = Pair(AliasRef("f", "live"), "1", "2")
        return judge([PairCounts(pair, stable, seen)], (), (), limits).judgement

    missing = limits.errors.min_samples - candidate.invocations
    if missing > 0 and judged(candidate) is Judgement.UNHEALTHY:
        assert judged(candidate + Counts(min(more, missing))) is Judgement.UNHEALTHY


@given(st.lists(pair_counts, max_size=3), checks, st.sets(st.text()), st.sets(st.text()))
def test_only_an_alarm_that_is_new_makes_unhealthy(
    seen: list[PairCounts], limits: Checks, firing: set[str], baseline: set[str]
) -> None:
    without = judge(seen, (), (), limits).judgement
    verdict = judge(seen, sorted(firing), sorted(baseline), limits)
    alarm = Judgement.UNHEALTHY if firing - baseline else Judgement.HEALTHY
    assert verdict.judgement is worst(without, alarm)
