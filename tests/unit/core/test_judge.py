"""The verdict: worse than stable, not worse, or not enough to tell."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegate.core.analysis.judge import judge, worst
from tidegate.core.model.plan import Checks, ErrorPolicy, MetricPolicy, MetricQuery
from tidegate.core.model.record import Judgement, Verdict
from tidegate.core.ports import (
    AliasRef,
    Bin,
    Counts,
    MetricSeries,
    MetricValue,
    Observation,
    Pair,
    PairBins,
)

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHECKS = Checks(errors=ErrorPolicy(max_increase=0.05, min_samples=50))
Numbers = tuple[int, int]


def pair(*bins: tuple[Numbers, Numbers], function: str = "f", **more: Any) -> PairBins:
    """Stable's and the candidate's requests and failures, minute by minute."""
    return PairBins(
        Pair(AliasRef(function, "live"), stable="1", candidate="2"),
        tuple(
            Bin(START + timedelta(minutes=minute), Counts(*stable), Counts(*candidate))
            for minute, (stable, candidate) in enumerate(bins)
        ),
        **more,
    )


def verdict(*bins: tuple[Numbers, Numbers], checks: Checks = CHECKS, **more: Any) -> Verdict:
    return judge(Observation((pair(*bins, **more),)), checks)


class TestErrors:
    def test_says_how_unlikely_it_is_that_the_candidate_is_no_worse(self) -> None:
        found = verdict(((5120, 3), (104, 21)))
        assert found.judgement is Judgement.UNHEALTHY
        assert found.reasons == (
            (
                "candidate fails 21 of 104, stable 3 of 5,120;"
                " odds of seeing this by chance if it were no worse: below 1 in 1,000,000,000"
            ),
        )
        assert (found.stable_invocations, found.stable_errors) == (5120, 3)
        assert (found.candidate_invocations, found.candidate_errors) == (104, 21)
        (evidence,) = found.evidence
        assert evidence.reached
        assert evidence.log_bound == pytest.approx(4.605, abs=0.001)

    def test_is_sure_after_two_failures_at_a_small_weight(self) -> None:
        assert verdict(((5000, 1), (10, 2))).judgement is Judgement.UNHEALTHY

    def test_one_failure_is_never_proof(self) -> None:
        found = verdict(((50_000, 0), (3, 1)))
        assert found.evidence[0].reached
        assert found.judgement is Judgement.INSUFFICIENT_TRAFFIC

    def test_is_healthy_when_the_candidate_fails_as_seldom_as_stable(self) -> None:
        found = verdict(((1000, 20), (100, 1)))
        assert found.judgement is Judgement.HEALTHY
        assert found.reasons == (
            "candidate fails 1 of 100 (1.0 %), stable 20 of 1,000 (2.0 %); e-value 0.1 of 100",
        )

    def test_bad_news_of_both_versions_is_not_the_candidates_fault(self) -> None:
        assert verdict(((1000, 900), (100, 92))).judgement is Judgement.HEALTHY

    def test_what_may_be_chance_neither_goes_on_nor_back(self) -> None:
        found = verdict(((900, 90), (100, 16)))
        assert found.judgement is Judgement.UNDECIDED
        assert "6.0 points more, 5.0 allowed, but it may be chance" in found.reasons[0]

    def test_the_allowed_increase_itself_is_allowed(self) -> None:
        assert verdict(((1000, 50), (100, 10))).judgement is Judgement.HEALTHY

    def test_finds_a_small_regression_in_much_traffic(self) -> None:
        minutes = [((54_000, 54), (6_000, 30))] * 5
        assert verdict(*minutes).judgement is Judgement.UNHEALTHY

    def test_holds_a_candidate_without_company_against_what_stable_failed_before(self) -> None:
        alone = ((0, 0), (60, 30))
        assert verdict(((600, 1), (600, 1)), alone).judgement is Judgement.UNHEALTHY
        known = verdict(alone, before=Counts(1000, 500))
        assert known.judgement is Judgement.HEALTHY
        assert "stable before 500 of 1,000 (50.0 %)" in known.reasons[0]

    def test_a_candidate_alone_may_fail_as_much_as_is_allowed(self) -> None:
        found = verdict(((0, 0), (1000, 50)))
        assert found.judgement is Judgement.HEALTHY
        assert "stable had no requests" in found.reasons[0]

    def test_says_when_it_is_proven_to_be_no_worse(self) -> None:
        few = verdict(((500, 0), (60, 0)))
        many = verdict(((5000, 5), (1000, 1)))
        often = verdict(*[((500, 50), (500, 50))] * 5)
        assert not few.no_worse
        assert (many.no_worse, often.no_worse) == (True, True)
        assert many.reasons[0].endswith("proven no worse: fewer than 1 % fail")
        assert often.reasons[0].endswith(
            "proven no worse: it fails less than 2 times as often as stable"
        )

    def test_waits_for_the_proof_where_the_manifest_asks_for_it(self) -> None:
        strict = Checks(errors=ErrorPolicy(proof=True))
        waiting = verdict(((500, 0), (60, 0)), checks=strict)
        assert waiting.judgement is Judgement.UNDECIDED
        assert waiting.reasons[0].endswith("not yet proven to be no worse")
        assert verdict(((5000, 5), (1000, 1)), checks=strict).judgement is Judgement.HEALTHY

    def test_bounds_what_the_candidate_may_harm(self) -> None:
        unknown, known = verdict(((100, 0), (0, 0))), verdict(((10_000, 10), (10_000, 10)))
        assert unknown.excess_errors == 1.0
        assert known.excess_errors == pytest.approx(0.001, abs=0.0005)


class TestTooLittleTraffic:
    def test_no_traffic_is_not_success(self) -> None:
        found = verdict(((1000, 0), (0, 0)))
        assert found.judgement is Judgement.INSUFFICIENT_TRAFFIC
        assert found.reasons == (
            "candidate has 0 of the 50 requests that a judgement needs, 0 failed",
        )

    def test_no_pairs_at_all_are_no_success_either(self) -> None:
        assert judge(Observation(), CHECKS).judgement is Judgement.INSUFFICIENT_TRAFFIC

    def test_exactly_the_requests_that_are_needed_suffice(self) -> None:
        assert verdict(((1000, 0), (49, 0))).judgement is Judgement.INSUFFICIENT_TRAFFIC
        assert verdict(((1000, 0), (50, 0))).judgement is Judgement.HEALTHY


class TestManyFunctions:
    def test_finds_and_names_the_one_that_is_worse(self) -> None:
        good = [pair(((540, 1), (60, 0)), function=f"good-{n}") for n in range(20)]
        bad = pair(((540, 0), (60, 12)), function="bad")
        found = judge(Observation((*good, bad)), CHECKS)
        assert found.judgement is Judgement.UNHEALTHY
        assert found.reasons[0].startswith("bad: candidate fails 12 of 60, stable 0 of 540;")
        assert found.candidate_invocations == 21 * 60

    def test_finds_a_fault_of_all_that_none_of_them_proves_alone(self) -> None:
        each = ((450, 1), (50, 2))
        alone = verdict(each)
        together = judge(
            Observation(tuple(pair(each, function=f"f{n}") for n in range(10))), CHECKS
        )
        assert alone.judgement is not Judgement.UNHEALTHY
        assert together.judgement is Judgement.UNHEALTHY
        assert together.reasons[0].startswith("candidate fails 20 of 500")

    def test_merges_the_minutes_of_a_long_bake_without_saying_more_than_they_do(self) -> None:
        minutes = [((540, 1), (60, 0))] * 2001
        merged = verdict(*minutes, ((540, 0), (60, 12)))
        exact = verdict(*minutes[:1900], ((540, 0), (60, 12)))
        assert merged.evidence[0].log_e < exact.evidence[0].log_e


class TestAlarms:
    SEEN = (pair(((100, 0), (100, 0))),)

    def test_one_that_begins_to_fire_is_unhealthy_whatever_the_errors(self) -> None:
        seen = Observation(self.SEEN, firing=("Slow", "Old"), baseline=("Old",))
        found = judge(seen, CHECKS)
        assert found.judgement is Judgement.UNHEALTHY
        assert found.reasons[0] == "alarm Slow fires and did not before the shift"
        assert len(found.reasons) == 2

    def test_one_that_fired_before_proves_nothing(self) -> None:
        seen = Observation(self.SEEN, firing=("Old",), baseline=("Old",))
        assert judge(seen, CHECKS).judgement is Judgement.HEALTHY


class TestMetrics:
    def judged(self, *values: float, **policy: Any) -> Verdict:
        query = MetricQuery(name="orders", stats={})
        checks = Checks(metrics=(MetricPolicy(query=query, **policy),))
        series = tuple(MetricValue(START, value) for value in values)
        seen = Observation(TestAlarms.SEEN, metrics=(MetricSeries("orders", series),))
        return judge(seen, checks)

    def test_is_unhealthy_beyond_a_bound_for_as_long_as_the_manifest_says(self) -> None:
        found = self.judged(9, 3, 2, 1, at_least=5)
        assert found.judgement is Judgement.UNHEALTHY
        assert found.reasons[0] == "orders is 1, at least 5 allowed, for 3 periods in a row"

    def test_is_not_sure_of_a_bad_minute(self) -> None:
        assert self.judged(9, 9, 1, at_least=5).judgement is Judgement.UNDECIDED

    def test_is_healthy_within_its_bounds(self) -> None:
        found = self.judged(5, 5, 7, at_least=5, at_most=7)
        assert found.judgement is Judgement.HEALTHY
        assert "orders is 7, at least 5 and at most 7 allowed" in found.reasons

    def test_without_data_is_no_health(self) -> None:
        found = self.judged(at_most=0)
        assert found.judgement is Judgement.INSUFFICIENT_TRAFFIC
        assert found.reasons[0] == "orders has no data since the shift began"

    def test_without_data_is_what_the_manifest_takes_it_for(self) -> None:
        assert self.judged(at_most=0, missing=0).judgement is Judgement.HEALTHY


class TestSparseMetrics:
    """Counters that have data only when something happens: periods without are what they mean."""

    def judged(self, *at: int, minutes: int = 10, **policy: Any) -> Verdict:
        query = MetricQuery(name="dead letters", stats={})
        checks = Checks(metrics=(MetricPolicy(query=query, at_most=0, missing=0, **policy),))
        values = tuple(MetricValue(START + timedelta(minutes=one), 1.0) for one in at)
        seen = Observation(
            (pair(*[((100, 0), (100, 0))] * minutes),),
            metrics=(MetricSeries("dead letters", values),),
        )
        return judge(seen, checks)

    def test_events_in_a_row_are_unhealthy(self) -> None:
        assert self.judged(4, 5, 6).judgement is Judgement.UNHEALTHY

    def test_events_with_quiet_minutes_between_them_are_not_in_a_row(self) -> None:
        found = self.judged(2, 4, 6)
        assert found.judgement is Judgement.UNDECIDED
        assert found.reasons[0].endswith("for 2 of 3 periods")

    def test_events_long_ago_are_over(self) -> None:
        assert self.judged(0, 1, 2, minutes=20).judgement is Judgement.HEALTHY

    def test_events_may_be_told_some_minutes_later_than_requests(self) -> None:
        assert self.judged(4, 5, 6, minutes=10).judgement is Judgement.UNHEALTHY
        assert self.judged(4, 5, 6, minutes=11).judgement is Judgement.UNDECIDED

    def test_without_requests_and_events_nothing_happened(self) -> None:
        found = judge(
            Observation(),
            Checks(
                metrics=(MetricPolicy(query=MetricQuery(name="m", stats={}), at_most=0, missing=0),)
            ),
        )
        assert "m is 0, at most 0 allowed" in found.reasons


class TestWhatWasBefore:
    def judged(self, value: float, before: float | None, **policy: Any) -> Verdict:
        query = MetricQuery(name="age", stats={})
        bounded = MetricPolicy(query=query, at_most=60, periods=1, **policy)
        series = MetricSeries("age", (MetricValue(START, value),), before)
        seen = Observation(TestAlarms.SEEN, metrics=(series,))
        return judge(seen, Checks(metrics=(bounded,)))

    def test_is_allowed_too(self) -> None:
        found = self.judged(90, before=100, or_before=True)
        assert found.judgement is Judgement.HEALTHY
        assert "age is 90, at most 100 allowed as before the shift" in found.reasons

    def test_allows_no_more_than_it_was(self) -> None:
        found = self.judged(110, before=100, or_before=True)
        assert found.judgement is Judgement.UNHEALTHY

    @pytest.mark.parametrize("before", [None, 20.0])
    def test_lowers_no_bound(self, before: float | None) -> None:
        assert self.judged(50, before, or_before=True).judgement is Judgement.HEALTHY
        assert self.judged(70, before, or_before=True).judgement is Judgement.UNHEALTHY

    def test_counts_only_where_it_is_asked_for(self) -> None:
        assert self.judged(90, before=100).judgement is Judgement.UNHEALTHY


class TestTraffic:
    def test_is_that_before_the_shift_until_there_is_any(self) -> None:
        seen = Observation((pair(),), requests_per_second=7.5)
        assert judge(seen, CHECKS).requests_per_second == 7.5

    def test_is_that_of_the_last_ten_minutes(self) -> None:
        found = verdict(((99_999, 0), (0, 0)), *[((540, 0), (60, 0))] * 10)
        assert found.requests_per_second == 10.0

    def test_of_all_functions_counts(self) -> None:
        both = tuple(pair(((540, 0), (60, 0)), function=name) for name in "fg")
        assert judge(Observation(both), CHECKS).requests_per_second == 20.0


@pytest.mark.parametrize(
    ("judgements", "expected"),
    [
        ((), Judgement.UNDECIDED),
        ((Judgement.HEALTHY,), Judgement.HEALTHY),
        ((Judgement.HEALTHY, Judgement.UNDECIDED), Judgement.UNDECIDED),
        ((Judgement.INSUFFICIENT_TRAFFIC, Judgement.UNDECIDED), Judgement.INSUFFICIENT_TRAFFIC),
        (tuple(Judgement), Judgement.UNHEALTHY),
    ],
)
def test_the_worst_counts(judgements: tuple[Judgement, ...], expected: Judgement) -> None:
    assert worst(*judgements) is expected
