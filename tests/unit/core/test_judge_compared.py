"""Metrics of the user by version: the candidate against stable, by the test of errors."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegate.core.analysis.judge import judge
from tidegate.core.analysis.queries import compared_of, queries_of
from tidegate.core.model.plan import Checks, ComparedPolicy, MetricStat, WorseWhen
from tidegate.core.model.record import Judgement, Verdict
from tidegate.core.ports import (
    AliasRef,
    Bin,
    Compared,
    Counts,
    MetricSeries,
    MetricValue,
    Observation,
    Pair,
    PairBins,
)

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAIR = Pair(AliasRef("shop-Checkout", "live"), stable="7", candidate="8")
DECLINED = MetricStat(
    namespace="Shop", metric="Declined", dimensions={"version": "{version}", "fn": "{function}"}
)
PAYMENTS = MetricStat(
    namespace="Shop", metric="Payments", dimensions={"version": "{version}", "fn": "Checkout"}
)
RESOURCES = {"Checkout": "shop-Checkout"}
Numbers = tuple[int, int]


def policy(**changes: Any) -> ComparedPolicy:
    return ComparedPolicy(**({"name": "declined payments", "events": DECLINED} | changes))


def minute(number: int) -> datetime:
    return START + timedelta(minutes=number)


def counted(*bins: tuple[Numbers, Numbers], function: str = "shop-Checkout") -> PairBins:
    """Stable's and the candidate's total and events, minute by minute."""
    return PairBins(
        Pair(AliasRef(function, "live"), "7", "8"),
        tuple(
            Bin(minute(number), Counts(*stable), Counts(*candidate))
            for number, (stable, candidate) in enumerate(bins)
        ),
    )


def verdict(*compared: Compared, checks: Checks | None = None, **changes: Any) -> Verdict:
    healthy = counted(((1000, 0), (100, 0)))
    checks = checks or Checks(compared=(policy(**changes),))
    return judge(Observation((healthy,), compared=compared), checks)


def of(*bins: tuple[Numbers, Numbers]) -> Compared:
    return Compared("declined payments", (counted(*bins),))


class TestVerdict:
    def test_more_events_than_chance_explains_are_unhealthy_in_numbers_to_check(self) -> None:
        found = verdict(of(((5120, 3), (104, 21))))
        assert found.judgement is Judgement.UNHEALTHY
        assert found.reasons[0] == (
            "declined payments: candidate has 21 of 104, stable 3 of 5,120;"
            " odds of seeing this by chance if it were no worse: below 1 in 1,000,000,000"
        )
        assert [one.test for one in found.evidence if one.reached] == ["declined payments"]

    def test_weighs_the_same_counts_as_errors_do(self) -> None:
        bins = (((900, 9), (100, 3)), ((800, 2), (200, 4)))
        errors = judge(Observation((counted(*bins),)), Checks()).evidence[0]
        compared = verdict(of(*bins)).evidence[1]
        assert compared.log_e == errors.log_e

    def test_fewer_good_events_are_as_bad(self) -> None:
        found = verdict(of(((5120, 5117), (104, 83))), worse_when=WorseWhen.FEWER)
        assert found.judgement is Judgement.UNHEALTHY
        assert "candidate lacks 21 of 104, stable 3 of 5,120" in found.reasons[0]
        more = verdict(of(((5120, 5117), (104, 83))))
        assert more.judgement is Judgement.HEALTHY

    def test_as_many_events_are_healthy(self) -> None:
        found = verdict(of(((1000, 20), (100, 1))))
        assert found.judgement is Judgement.HEALTHY
        assert (
            "declined payments: candidate has 1 of 100 (1.0 %), stable 20 of 1,000 (2.0 %);"
            " e-value 0.1 of 200"
        ) in found.reasons

    def test_what_may_be_chance_neither_goes_on_nor_back(self) -> None:
        found = verdict(of(((900, 90), (100, 16))))
        assert found.judgement is Judgement.UNDECIDED
        assert "6.0 points more, 5.0 allowed, but it may be chance" in found.reasons[0]
        tolerant = verdict(of(((900, 90), (100, 16))), max_increase=0.1)
        assert tolerant.judgement is Judgement.HEALTHY

    def test_a_small_total_is_no_judgement(self) -> None:
        found = verdict(of(((1000, 2), (49, 0))))
        assert found.judgement is Judgement.INSUFFICIENT_TRAFFIC
        assert found.reasons[0] == (
            "declined payments: candidate has a total of 49 of the 50 that a judgement needs"
        )
        assert verdict(of(((9, 0), (20, 0))), min_samples=20).judgement is Judgement.HEALTHY

    def test_a_metric_without_data_is_no_health(self) -> None:
        assert verdict(of()).judgement is Judgement.INSUFFICIENT_TRAFFIC
        unseen = verdict()
        assert unseen.judgement is Judgement.INSUFFICIENT_TRAFFIC
        assert unseen.reasons[0] == "declined payments was not looked at"

    def test_a_function_that_stays_has_nothing_to_compare(self) -> None:
        found = verdict(Compared("declined payments"), function="Checkout")
        assert found.judgement is Judgement.HEALTHY
        assert "declined payments: Checkout stays as it is, so nothing is to compare" in (
            found.reasons
        )

    def test_events_beyond_their_total_are_a_mistake_that_is_said(self) -> None:
        found = verdict(of(((1000, 0), (100, 0)), ((10, 0), (10, 12))))
        assert found.judgement is Judgement.UNDECIDED
        assert found.reasons[0] == (
            "declined payments: 12 events of a total of 10 at 12:01: they must be counted among it"
        )

    def test_what_the_possible_minutes_prove_still_counts(self) -> None:
        found = verdict(of(((5120, 3), (104, 21)), ((10, 0), (10, 12))))
        assert found.judgement is Judgement.UNHEALTHY

    def test_names_the_function_that_is_worse(self) -> None:
        good, bad = counted(((540, 1), (60, 0)), function="good"), counted(((540, 0), (60, 12)))
        found = verdict(Compared("declined payments", (good, bad)))
        assert found.reasons[0].startswith(
            "declined payments: shop-Checkout: candidate has 12 of 60, stable 0 of 540;"
        )


class TestAlpha:
    @pytest.mark.parametrize("metrics", [0, 1, 2, 5])
    def test_is_shared_by_all_tests_and_the_verdict_says_so(self, metrics: int) -> None:
        names = [f"metric-{number}" for number in range(metrics)]
        checks = Checks(compared=tuple(policy(name=name) for name in names))
        seen = [Compared(name, (counted(((900, 0), (100, 0))),)) for name in names]
        found = verdict(*seen, checks=checks)
        assert found.alpha == 0.01
        assert len(found.evidence) == metrics + 1
        bounds = {round(2.718281828459045**one.log_bound) for one in found.evidence}
        assert bounds == {100 * (metrics + 1)}
        said = (
            f"{metrics + 1} tests share a false alarm of 1 %:"
            f" each accuses from an e-value of {100 * (metrics + 1)}"
        )
        assert (said in found.reasons) == (metrics > 0)


class TestQueries:
    def test_ask_for_both_versions_by_their_names_in_the_account(self) -> None:
        pair = PairBins(PAIR)
        asked = queries_of(policy(total=PAYMENTS), [pair], RESOURCES)
        assert [
            (query.stats["value"].metric, query.stats["value"].dimensions) for query in asked
        ] == [
            ("Declined", {"version": "7", "fn": "shop-Checkout"}),
            ("Payments", {"version": "7", "fn": "shop-Checkout"}),
            ("Declined", {"version": "8", "fn": "shop-Checkout"}),
            ("Payments", {"version": "8", "fn": "shop-Checkout"}),
        ]
        assert len({query.name for query in asked}) == 4

    def test_leave_out_functions_that_it_does_not_count(self) -> None:
        other = PairBins(Pair(AliasRef("shop-Cart", "live"), "7", "8"))
        pairs = [other, PairBins(PAIR)]
        assert len(queries_of(policy(), pairs, RESOURCES)) == 4
        assert len(queries_of(policy(function="Checkout"), pairs, RESOURCES)) == 2
        assert queries_of(policy(function="Gone"), pairs, RESOURCES) == []

    def test_answers_are_put_together_by_the_minute(self) -> None:
        asked = queries_of(policy(total=PAYMENTS), [PairBins(PAIR)], RESOURCES)
        values = ([(1, 2.0)], [(0, 90.0), (1, 80.0)], [(2, 1.0)], [(1, 9.0)])
        series = [
            MetricSeries(query.name, tuple(MetricValue(minute(at), value) for at, value in some))
            for query, some in zip(asked, values, strict=True)
        ]
        found = compared_of(policy(total=PAYMENTS), [PairBins(PAIR)], RESOURCES, series)
        assert found.name == "declined payments"
        (pair,) = found.pairs
        assert pair.bins == (
            Bin(minute(0), Counts(90, 0), Counts()),
            Bin(minute(1), Counts(80, 2), Counts(9, 0)),
            Bin(minute(2), Counts(), Counts(0, 1)),
        )

    def test_without_a_total_the_events_are_among_the_requests(self) -> None:
        served = counted(((90, 5), (10, 1)))
        asked = queries_of(policy(), [served], RESOURCES)
        stable, candidate = (query.name for query in asked)
        series = [
            MetricSeries(stable),
            MetricSeries(candidate, (MetricValue(minute(0), 3.0),)),
        ]
        (pair,) = compared_of(policy(), [served], RESOURCES, series).pairs
        assert pair.bins == (Bin(minute(0), Counts(90, 0), Counts(10, 3)),)
