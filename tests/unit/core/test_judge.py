"""The verdict: worse than stable, not worse, or not enough to tell."""

import pytest

from tidegate.core.judge import judge, worst
from tidegate.core.plan import Checks, ErrorPolicy
from tidegate.core.ports import AliasRef, Counts, Pair, PairCounts
from tidegate.core.record import Judgement, Verdict

CHECKS = Checks(errors=ErrorPolicy(max_increase=0.05, min_samples=50))


def pair(stable: tuple[int, int], candidate: tuple[int, int], function: str = "f") -> PairCounts:
    return PairCounts(
        Pair(AliasRef(function, "live"), stable="1", candidate="2"),
        Counts(*stable),
        Counts(*candidate),
    )


def verdict(stable: tuple[int, int], candidate: tuple[int, int]) -> Verdict:
    return judge([pair(stable, candidate)], (), (), CHECKS)


def test_is_unhealthy_when_the_candidate_fails_more_than_allowed() -> None:
    found = verdict(stable=(5120, 3), candidate=(104, 21))
    assert found.judgement is Judgement.UNHEALTHY
    assert found.reasons == (
        (
            "candidate fails 21 of 104 (20.2 %), stable 3 of 5120 (0.1 %):"
            " 20.1 points more, 5.0 allowed"
        ),
    )
    assert (found.stable_invocations, found.stable_errors) == (5120, 3)
    assert (found.candidate_invocations, found.candidate_errors) == (104, 21)


def test_is_healthy_when_the_candidate_fails_as_seldom_as_stable() -> None:
    found = verdict(stable=(1000, 20), candidate=(100, 1))
    assert found.judgement is Judgement.HEALTHY
    assert found.reasons == (
        (
            "candidate fails 1 of 100 (1.0 %), stable 20 of 1000 (2.0 %):"
            " 1.0 points fewer, 5.0 allowed"
        ),
    )


def test_the_bound_itself_is_still_allowed() -> None:
    assert verdict(stable=(1000, 50), candidate=(1000, 100)).judgement is Judgement.HEALTHY
    assert verdict(stable=(1000, 50), candidate=(1000, 101)).judgement is Judgement.UNHEALTHY


def test_bad_news_of_both_versions_is_not_the_candidates_fault() -> None:
    assert verdict(stable=(1000, 900), candidate=(100, 92)).judgement is Judgement.HEALTHY


def test_no_traffic_is_not_success() -> None:
    found = verdict(stable=(1000, 0), candidate=(0, 0))
    assert found.judgement is Judgement.INSUFFICIENT_TRAFFIC
    assert found.reasons == ("candidate has 0 of the 50 requests that a judgement needs, 0 failed",)


def test_no_pairs_at_all_are_no_success_either() -> None:
    assert judge([], (), (), CHECKS).judgement is Judgement.INSUFFICIENT_TRAFFIC


def test_few_requests_and_few_errors_do_not_suffice() -> None:
    assert verdict(stable=(1000, 0), candidate=(49, 2)).judgement is Judgement.INSUFFICIENT_TRAFFIC


def test_exactly_the_requests_that_are_needed_suffice() -> None:
    assert verdict(stable=(1000, 0), candidate=(50, 2)).judgement is Judgement.HEALTHY


def test_is_not_sure_while_the_errors_could_still_be_within_the_bound() -> None:
    policy = ErrorPolicy(max_increase=0.06, min_samples=50)  # allows three errors in fifty
    seen = [pair(stable=(1000, 0), candidate=(10, 3))]
    found = judge(seen, (), (), Checks(errors=policy))
    assert found.judgement is Judgement.INSUFFICIENT_TRAFFIC


def test_is_sure_early_when_even_fifty_requests_could_not_excuse_the_errors() -> None:
    found = verdict(stable=(1000, 0), candidate=(10, 3))
    assert found.judgement is Judgement.UNHEALTHY
    assert found.reasons[0].endswith("too many already, whatever the rest of 50 requests do")


def test_says_that_a_silent_stable_version_counts_as_without_errors() -> None:
    found = verdict(stable=(0, 0), candidate=(100, 20))
    assert found.judgement is Judgement.UNHEALTHY
    assert "stable had no requests and counts as 0.0 %" in found.reasons[0]


def test_adds_up_all_functions_of_the_stack() -> None:
    found = judge([pair((100, 0), (30, 3), "f"), pair((100, 0), (30, 3), "g")], (), (), CHECKS)
    assert found.judgement is Judgement.UNHEALTHY
    assert found.candidate_invocations == 60


def test_an_alarm_that_begins_to_fire_is_unhealthy_whatever_the_errors() -> None:
    found = judge([pair((100, 0), (100, 0))], ["Slow", "Old"], ["Old"], CHECKS)
    assert found.judgement is Judgement.UNHEALTHY
    assert found.reasons[0] == "alarm Slow fires and did not before the shift"
    assert len(found.reasons) == 2


def test_an_alarm_that_fired_before_proves_nothing() -> None:
    assert judge([pair((100, 0), (100, 0))], ["Old"], ["Old"], CHECKS).judgement is (
        Judgement.HEALTHY
    )


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
