"""Virtual users come as often, and fail as often, as they are said to."""

from __future__ import annotations

import math
import random

import pytest

from tidegate.core.errors import InputError
from tidegate.core.ports import Counts
from tidegate.simulate.traffic import Profile, Regression, poisson, profile_of_counts, read_profile

DRAWS = 20_000


@pytest.mark.parametrize("mean", [0.0, 0.03, 1.0, 7.5, 29.9, 30.0, 88.0, 5_000.0, 1e9])
def test_poisson_numbers_have_the_mean_and_the_variance_of_the_law(mean: float) -> None:
    chance = random.Random(f"poisson {mean}")
    draws = [poisson(chance, mean) for _ in range(DRAWS)]
    found = math.fsum(draws) / DRAWS
    assert abs(found - mean) <= 4 * math.sqrt(mean / DRAWS)
    variance = math.fsum((draw - found) ** 2 for draw in draws) / DRAWS
    spread = math.sqrt((1 / mean + 2) / DRAWS) if mean else 0.0  # of a sample's variance
    assert variance == pytest.approx(mean, rel=4.5 * spread, abs=1e-9)


@pytest.mark.parametrize("mean", [2.0, 29.0, 31.0])
def test_each_poisson_number_is_as_frequent_as_the_law_says(mean: float) -> None:
    chance = random.Random(f"frequencies {mean}")
    draws = [poisson(chance, mean) for _ in range(DRAWS)]
    for count in range(int(mean - 4), int(mean + 5)):
        if count < 0:
            continue
        law = math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
        deviation = math.sqrt(law * (1 - law) / DRAWS)
        assert abs(draws.count(count) / DRAWS - law) <= 4.5 * deviation


@pytest.mark.parametrize(
    ("text", "rate", "shown"),
    [
        ("+5%", 0.06, "+5 points"),
        ("1 %", 0.02, "+1 point"),
        ("2x", 0.02, "2x"),
        ("1.5x", 0.015, "1.5x"),
        ("100%", 1.0, "all fail"),
        ("none", 0.01, "none"),
    ],
)
def test_a_regression_is_points_or_a_factor(text: str, rate: float, shown: str) -> None:
    regression = Regression.parse(text)
    assert regression.error_rate(0.01) == pytest.approx(rate)
    assert str(regression) == shown


@pytest.mark.parametrize("text", ["", "5", "-5%", "x2", "twice"])
def test_what_is_no_regression_is_refused_with_the_mend(text: str) -> None:
    with pytest.raises(InputError, match="Write points"):
        Regression.parse(text)


class TestProfile:
    COURSE = Profile(requests_per_second=(1.0, 10.0), slot_seconds=3600)

    def test_expects_requests_by_the_hour_and_begins_again(self) -> None:
        assert self.COURSE.expected(0, 3600) == pytest.approx(3600)
        assert self.COURSE.expected(3500, 3700) == pytest.approx(100 * 1 + 100 * 10)
        assert self.COURSE.expected(7100, 7300) == pytest.approx(100 * 10 + 100 * 1)
        assert self.COURSE.mean_rate == pytest.approx(5.5)

    def test_is_read_from_a_file(self) -> None:
        text = "requests_per_second: [2, 30, 12]\nevery: 8h\nerror_rate: 0.5%\n"
        assert read_profile(text, "traffic.yaml") == Profile(
            requests_per_second=(2, 30, 12), slot_seconds=8 * 3600, error_rate=0.005
        )

    @pytest.mark.parametrize(
        "text", ["{}", "requests_per_second: []\nevery: 1h", "requests_per_second: [-1]\nevery: 1h"]
    )
    def test_a_file_without_sense_is_refused_with_an_example(self, text: str) -> None:
        with pytest.raises(InputError, match=r"traffic.yaml is no course of traffic: .*example"):
            read_profile(text, "traffic.yaml")

    def test_is_made_of_what_cloudwatch_counted(self) -> None:
        counts = [Counts(300, 3), Counts(0, 0), Counts(600, 6)]
        assert profile_of_counts(counts, 300, "hello:live") == Profile(
            requests_per_second=(1.0, 0.0, 2.0), slot_seconds=300, error_rate=0.01
        )

    def test_a_silent_function_has_no_profile(self) -> None:
        with pytest.raises(InputError, match="no requests to hello:live"):
            profile_of_counts([Counts()], 300, "hello:live")
