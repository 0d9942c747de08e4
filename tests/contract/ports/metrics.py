"""What every way to read metrics and alarms keeps to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from tidegate.core.errors import NotFound
from tidegate.core.model.plan import MetricQuery, MetricStat
from tidegate.core.ports import (
    AliasRef,
    Baseline,
    Bin,
    Counts,
    Metrics,
    MetricSeries,
    Pair,
    PairBins,
    Slower,
)

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
PAIR = Pair(AliasRef("greeter", "live"), stable="1", candidate="2")
OTHER = Pair(AliasRef("other", "live"), stable="1", candidate="2")


class Feed(Protocol):
    """Lets the world have happened."""

    def serve(  # noqa: PLR0917  # reads as a row of a table
        self,
        version: str,
        at: datetime,
        invocations: int,
        errors: int = 0,
        durations_ms: Iterable[float] = (),
        function: str = "greeter",
    ) -> None:
        """A version of the alias has served requests, as Lambda counts them."""

    def publish(self, metric: str, at: datetime, value: float, **dimensions: str) -> None:
        """An application has published a value in the namespace ``Shop``."""

    def alarm(self, name: str, state: str) -> None:
        """An alarm is in this state."""


def at(minutes: float) -> datetime:
    return HOUR + timedelta(minutes=minutes)


def minutes(served: PairBins) -> list[tuple[float, Counts, Counts]]:
    """The bins with their minutes after the hour."""
    return [(since_hour(one), one.stable, one.candidate) for one in served.bins]


def since_hour(one: Bin) -> float:
    return (one.start - HOUR) / timedelta(minutes=1)


def query(metric: str, statistic: str = "Sum", **dimensions: str) -> MetricQuery:
    stat = MetricStat(namespace="Shop", metric=metric, dimensions=dimensions, statistic=statistic)
    return MetricQuery(name=f"{metric} {statistic} {dimensions}", stats={"value": stat})


class MetricsContract:
    """Each implementation gives ``metrics`` and the ``feed`` that they show."""

    def test_requests_are_counted_for_each_version_by_the_minute(
        self, metrics: Metrics, feed: Feed
    ) -> None:
        feed.serve("1", at(0), 900, 9)
        feed.serve("1", at(1.2), 60)
        feed.serve("1", at(1.8), 40, 1)
        feed.serve("2", at(1.5), 50, 25)
        feed.serve("3", at(1.5), 7, 7)
        (served,) = metrics.bins([PAIR], at(0), at(6))
        assert served.pair == PAIR
        assert served.period_seconds == 60
        assert minutes(served) == [
            (0, Counts(900, 9), Counts()),
            (1, Counts(100, 1), Counts(50, 25)),
        ]

    def test_a_minute_that_is_not_over_is_not_used(self, metrics: Metrics, feed: Feed) -> None:
        for minute in range(6):
            feed.serve("2", at(minute), 10**minute)
        (served,) = metrics.bins([PAIR], at(1), at(4.9))
        used = [minute for minute, _, _ in minutes(served)]
        assert used[:2] == [1, 2]
        assert max(used) < 4

    def test_the_first_minute_is_that_of_the_begin(self, metrics: Metrics, feed: Feed) -> None:
        feed.serve("2", at(0), 5)
        feed.serve("2", at(-1), 7)
        (served,) = metrics.bins([PAIR], at(0.9), at(6))
        assert minutes(served) == [(0, Counts(), Counts(5))]

    def test_what_comes_late_corrects_what_was_seen(self, metrics: Metrics, feed: Feed) -> None:
        feed.serve("2", at(0), 5)
        before = metrics.bins([PAIR], at(0), at(6))
        feed.serve("2", at(0), 3, 2)
        feed.serve("1", at(1), 4)
        assert minutes(*before) == [(0, Counts(), Counts(5))]
        assert minutes(*metrics.bins([PAIR], at(0), at(6))) == [
            (0, Counts(), Counts(8, 2)),
            (1, Counts(4), Counts()),
        ]

    def test_without_data_there_are_no_bins(self, metrics: Metrics) -> None:
        assert metrics.bins([PAIR], at(0), at(6)) == [PairBins(PAIR)]
        assert metrics.bins([PAIR], at(0), at(0.5)) == [PairBins(PAIR)]
        assert metrics.bins([], at(0), at(6)) == []

    def test_each_pair_has_its_own_in_the_order_asked(self, metrics: Metrics, feed: Feed) -> None:
        feed.serve("2", at(1), 3, function="other")
        served = metrics.bins([OTHER, PAIR], at(0), at(6))
        assert [one.pair for one in served] == [OTHER, PAIR]
        assert minutes(served[0]) == [(1, Counts(), Counts(3))]
        assert minutes(served[1]) == []

    def test_durations_are_a_histogram_and_the_candidates_edges_are_raised(
        self, metrics: Metrics, feed: Feed
    ) -> None:
        feed.serve("1", at(1), 4, durations_ms=(90, 100, 105, 300))
        feed.serve("2", at(1), 3, durations_ms=(105, 115, 250))
        (served,) = metrics.bins([PAIR], at(0), at(6), [(100.0, 200.0)], 0.1)
        assert served.edges_ms == (100.0, 200.0)
        (latency,) = served.latency
        assert (latency.stable, latency.candidate) == (Slower(4, (2, 1)), Slower(3, (2, 1)))

    def test_a_version_without_requests_was_never_slow(self, metrics: Metrics, feed: Feed) -> None:
        feed.serve("1", at(1), 2, durations_ms=(50, 150))
        (served,) = metrics.bins([PAIR], at(0), at(6), [(100.0,)], 0.1)
        (latency,) = served.latency
        assert (latency.stable, latency.candidate) == (Slower(2, (1,)), Slower(0, (0,)))

    def test_durations_that_nobody_asked_for_are_left_out(
        self, metrics: Metrics, feed: Feed
    ) -> None:
        feed.serve("1", at(1), 2, durations_ms=(50, 150))
        (served,) = metrics.bins([PAIR], at(0), at(6))
        assert (served.edges_ms, served.latency) == ((), ())

    def test_the_baseline_is_what_the_alias_served_whatever_the_version(
        self, metrics: Metrics, feed: Feed
    ) -> None:
        feed.serve("1", at(10), 60, 2, durations_ms=range(1, 61))
        feed.serve("9", at(10), 40, 1, durations_ms=range(61, 101))
        before, nothing = metrics.baselines([PAIR.ref, OTHER.ref], at(0), at(30))
        assert before.served == Counts(100, 3)
        assert before.seconds == 30 * 60
        assert before.edges_ms == pytest.approx((50, 75, 90, 95, 99), abs=1)
        assert nothing == Baseline(seconds=30 * 60)

    def test_own_metrics_are_read_by_the_minute_and_their_statistic(
        self, metrics: Metrics, feed: Feed
    ) -> None:
        for when, value in ((0, 3.0), (0.5, 5.0), (2, 7.0)):
            feed.publish("Orders", at(when), value)
        expected = {
            "Sum": [8.0, 7.0],
            "Average": [4.0, 7.0],
            "Minimum": [3.0, 7.0],
            "Maximum": [5.0, 7.0],
            "SampleCount": [2.0, 1.0],
        }
        asked = [query("Orders", statistic) for statistic in expected]
        found = metrics.series(asked, at(0), at(6))
        assert [one.name for one in found] == [one.name for one in asked]
        assert [[value.value for value in one.values] for one in found] == [*expected.values()]
        assert [value.start for value in found[0].values] == [at(0), at(2)]

    def test_own_metrics_are_told_apart_by_all_their_dimensions(
        self, metrics: Metrics, feed: Feed
    ) -> None:
        feed.publish("Orders", at(1), 1, version="7")
        feed.publish("Orders", at(1), 10, version="8")
        feed.publish("Orders", at(1), 100, version="8", region="north")
        asked = [query("Orders", version="8"), query("Orders", version="7"), query("Orders")]
        found = metrics.series(asked, at(0), at(6))
        assert [[value.value for value in one.values] for one in found] == [[10.0], [1.0], []]

    def test_own_metrics_of_a_minute_that_is_not_over_are_not_used(
        self, metrics: Metrics, feed: Feed
    ) -> None:
        for minute in range(6):
            feed.publish("Orders", at(minute), 10**minute)
        (found,) = metrics.series([query("Orders")], at(1.5), at(4.9))
        values = [one.value for one in found.values]
        assert values[:2] == [10, 100]
        assert max(values) < 10_000

    def test_own_metrics_are_corrected_too(self, metrics: Metrics, feed: Feed) -> None:
        feed.publish("Orders", at(0), 5)
        before = metrics.series([query("Orders")], at(0), at(6))
        feed.publish("Orders", at(0), 2)
        after = metrics.series([query("Orders")], at(0), at(6))
        assert [one.values[0].value for one in (*before, *after)] == [5.0, 7.0]

    def test_an_own_metric_without_data_has_no_values(self, metrics: Metrics) -> None:
        assert metrics.series([query("Nothing")], at(0), at(6)) == [
            MetricSeries(query("Nothing").name)
        ]
        assert metrics.series([], at(0), at(6)) == []

    def test_alarms_that_fire_are_named(self, metrics: Metrics, feed: Feed) -> None:
        for name, state in (("quiet", "OK"), ("loud", "ALARM"), ("other", "ALARM")):
            feed.alarm(name, state)
        feed.alarm("silent", "INSUFFICIENT_DATA")
        assert metrics.firing(["quiet", "loud", "silent"]) == ["loud"]
        feed.alarm("loud", "OK")
        assert metrics.firing(["quiet", "loud"]) == []
        assert metrics.firing([]) == []

    def test_an_alarm_that_is_not_there_cannot_be_gone_by(
        self, metrics: Metrics, feed: Feed
    ) -> None:
        feed.alarm("quiet", "OK")
        with pytest.raises(NotFound, match="There is no alarm misspelt"):
            metrics.firing(["quiet", "misspelt"])
