"""Lambda's metrics are counted by version; alarms tell whether they fire."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import Stubber

from tidegate.aws.metrics import CloudWatchMetrics
from tidegate.aws.session import Clients
from tidegate.core.errors import NotFound, ServiceRefused, ServiceUnavailable
from tidegate.core.plan import MetricQuery, MetricStat
from tidegate.core.ports import (
    AliasRef,
    Baseline,
    Counts,
    MetricSeries,
    Pair,
    PairBins,
    Slower,
)

pytestmark = pytest.mark.cloud

NOW = datetime.now(UTC)
NOON = NOW.replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
PAIR = Pair(AliasRef("greeter", "live"), stable="1", candidate="2")

Serve = Callable[..., None]


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@pytest.fixture
def metrics(clients: Clients) -> CloudWatchMetrics:
    return CloudWatchMetrics(clients.make("cloudwatch"), 60)


@pytest.fixture
def serve(client: Callable[[str], Any]) -> Serve:
    """Lets a version have served requests, as Lambda counts them."""

    def serve(
        version: str, when: datetime, invocations: int, errors: int = 0, function: str = "greeter"
    ) -> None:
        dimensions = {
            "FunctionName": function,
            "Resource": f"{function}:live",
            "ExecutedVersion": version,
        }
        client("cloudwatch").put_metric_data(
            Namespace="AWS/Lambda",
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
                    "Timestamp": when,
                    "Value": value,
                }
                for name, value in (("Invocations", invocations), ("Errors", errors))
            ],
        )

    return serve


def minutes(served: PairBins) -> list[tuple[float, Counts, Counts]]:
    """The bins with their minutes after noon."""
    return [
        ((one.start - NOON) / timedelta(minutes=1), one.stable, one.candidate)
        for one in served.bins
    ]


def test_counts_each_version_by_itself_and_by_the_minute(
    metrics: CloudWatchMetrics, serve: Serve
) -> None:
    serve("1", at(0), 900, 9)
    serve("1", at(1.5), 100, 1)
    serve("2", at(1.5), 50, 25)
    serve("3", at(1.5), 7, 7)

    (served,) = metrics.bins([PAIR], at(0), at(5))

    assert served.pair == PAIR
    assert served.period_seconds == 60
    assert minutes(served) == [
        (0, Counts(900, 9), Counts()),
        (1, Counts(100, 1), Counts(50, 25)),
    ]


def test_uses_no_minute_before_it_is_published(metrics: CloudWatchMetrics, serve: Serve) -> None:
    for minute in range(5):
        serve("2", at(minute), 10**minute)

    (served,) = metrics.bins([PAIR], at(1), at(4.9))

    assert [minute for minute, _, _ in minutes(served)] == [1, 2]


def test_begins_with_the_minute_in_which_the_shift_begins(
    metrics: CloudWatchMetrics, serve: Serve
) -> None:
    serve("2", at(0), 5)

    (served,) = metrics.bins([PAIR], at(0.9), at(5))

    assert minutes(served) == [(0, Counts(), Counts(5, 0))]


def test_sees_what_comes_late(metrics: CloudWatchMetrics, serve: Serve) -> None:
    serve("2", at(0), 5)
    before = metrics.bins([PAIR], at(0), at(5))
    serve("2", at(0), 3, 2)

    assert minutes(*before) == [(0, Counts(), Counts(5, 0))]
    assert minutes(*metrics.bins([PAIR], at(0), at(5))) == [(0, Counts(), Counts(8, 2))]


def test_without_data_there_were_no_requests(metrics: CloudWatchMetrics) -> None:
    assert metrics.bins([PAIR], at(0), at(5)) == [PairBins(PAIR)]
    assert metrics.bins([PAIR], at(0), at(0.5)) == [PairBins(PAIR)]
    assert metrics.bins([], at(0), at(5)) == []


def test_reads_more_functions_than_fit_in_a_call(metrics: CloudWatchMetrics, serve: Serve) -> None:
    pairs = [Pair(AliasRef(f"function-{n}", "live"), "1", "2") for n in range(130)]
    serve("2", at(1), 3, 1, function="function-0")
    serve("2", at(1), 4, 2, function="function-129")

    served = metrics.bins(pairs, at(0), at(5))

    assert [one.pair for one in served] == pairs
    assert minutes(served[0]) == [(1, Counts(), Counts(3, 1))]
    assert minutes(served[-1]) == [(1, Counts(), Counts(4, 2))]
    assert sum(len(one.bins) for one in served) == 2


def test_reads_all_functions_of_a_stack_in_one_call(clients: Clients) -> None:
    cloudwatch = clients.make("cloudwatch")
    pairs = [Pair(AliasRef(f"function-{n}", "live"), "1", "2") for n in range(125)]

    with Stubber(cloudwatch) as answers:
        answers.add_response("get_metric_data", {"MetricDataResults": []})
        CloudWatchMetrics(cloudwatch, 60).bins(pairs, at(0), at(5))
        answers.assert_no_pending_responses()


class TestDurations:
    @pytest.fixture
    def take(self, client: Callable[[str], Any]) -> Callable[..., None]:
        def take(version: str, when: datetime, *durations_ms: float) -> None:
            names = {"FunctionName": "greeter", "Resource": "greeter:live"}
            dimensions = names | ({"ExecutedVersion": version} if version else {})
            client("cloudwatch").put_metric_data(
                Namespace="AWS/Lambda",
                MetricData=[
                    {
                        "MetricName": "Duration",
                        "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
                        "Timestamp": when,
                        "Values": list(durations_ms),
                        "Counts": [1] * len(durations_ms),
                    }
                ],
            )

        return take

    def test_are_counted_beyond_each_edge_and_the_candidates_beyond_more(
        self, metrics: CloudWatchMetrics, serve: Serve, take: Callable[..., None]
    ) -> None:
        serve("1", at(1), 4)
        serve("2", at(1), 3)
        take("1", at(1), 90, 100, 105, 300)
        take("2", at(1), 105, 115, 250)

        (served,) = metrics.bins([PAIR], at(0), at(5), [(100.0, 200.0)], 0.1)

        assert served.edges_ms == (100.0, 200.0)
        (latency,) = served.latency
        assert latency.stable == Slower(4, (2, 1))
        assert latency.candidate == Slower(3, (2, 1))

    def test_of_the_alias_before_the_shift_give_the_edges(
        self, metrics: CloudWatchMetrics, take: Callable[..., None], client: Callable[[str], Any]
    ) -> None:
        take("", at(10), *range(1, 101))
        client("cloudwatch").put_metric_data(
            Namespace="AWS/Lambda",
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": [
                        {"Name": "FunctionName", "Value": "greeter"},
                        {"Name": "Resource", "Value": "greeter:live"},
                    ],
                    "Timestamp": at(10),
                    "Value": value,
                }
                for name, value in (("Invocations", 100), ("Errors", 3))
            ],
        )

        (before,) = metrics.baselines([PAIR.ref], at(0), at(30))

        assert before.served == Counts(100, 3)
        assert before.seconds == 30 * 60
        assert before.edges_ms == pytest.approx((50, 75, 90, 95, 99), abs=1)

    def test_without_any_there_are_no_edges(self, metrics: CloudWatchMetrics) -> None:
        assert metrics.baselines([PAIR.ref], at(0), at(30)) == [Baseline(seconds=1800)]


class TestOwnMetrics:
    @pytest.fixture
    def orders(self, client: Callable[[str], Any]) -> None:
        for minute, (placed, failed) in enumerate([(100, 1), (200, 10)]):
            client("cloudwatch").put_metric_data(
                Namespace="Shop",
                MetricData=[
                    {"MetricName": name, "Timestamp": at(minute), "Value": value}
                    for name, value in (("Placed", placed), ("Failed", failed))
                ],
            )

    @pytest.mark.usefixtures("orders")
    def test_are_read_by_the_minute(self, metrics: CloudWatchMetrics) -> None:
        stat = MetricStat(namespace="Shop", metric="Placed")
        (found,) = metrics.series([MetricQuery(name="orders", stats={"m": stat})], at(0), at(5))
        assert found.name == "orders"
        assert [one.value for one in found.values] == [100, 200]

    @pytest.mark.usefixtures("orders")
    def test_are_computed_with_metric_math(self, metrics: CloudWatchMetrics) -> None:
        stats = {
            "placed": MetricStat(namespace="Shop", metric="Placed"),
            "failed": MetricStat(namespace="Shop", metric="Failed"),
        }
        query = MetricQuery(name="share", stats=stats, expression="100 * failed / placed")
        (found,) = metrics.series([query], at(0), at(5))
        assert [one.value for one in found.values] == pytest.approx([1, 5])

    def test_without_data_have_no_values(self, metrics: CloudWatchMetrics) -> None:
        stat = MetricStat(namespace="Shop", metric="Nothing")
        found = metrics.series([MetricQuery(name="none", stats={"m": stat})], at(0), at(5))
        assert found == [MetricSeries("none")]


@pytest.mark.parametrize(
    ("status", "error"), [("InternalError", ServiceUnavailable), ("Forbidden", ServiceRefused)]
)
def test_takes_data_that_it_may_not_see_for_an_error(
    status: str, error: type[Exception], clients: Clients
) -> None:
    cloudwatch = clients.make("cloudwatch")
    result = {
        "Id": "q0",
        "Label": "Invocations",
        "StatusCode": status,
        "Timestamps": [],
        "Values": [],
    }

    with Stubber(cloudwatch) as answers:
        answers.add_response("get_metric_data", {"MetricDataResults": [result]})
        with pytest.raises(error, match="Invocations"):
            CloudWatchMetrics(cloudwatch, 60).bins([PAIR], at(0), at(5))


class TestAlarms:
    @pytest.fixture
    def alarm(self, client: Callable[[str], Any]) -> Callable[[str, str], None]:
        def alarm(name: str, state: str) -> None:
            client("cloudwatch").put_metric_alarm(
                AlarmName=name,
                Namespace="Shop",
                MetricName="Orders",
                Statistic="Sum",
                Period=60,
                EvaluationPeriods=1,
                Threshold=1,
                ComparisonOperator="LessThanThreshold",
                TreatMissingData="ignore",
            )
            client("cloudwatch").set_alarm_state(
                AlarmName=name, StateValue=state, StateReason="a test"
            )

        return alarm

    def test_names_those_that_fire(
        self, metrics: CloudWatchMetrics, alarm: Callable[[str, str], None]
    ) -> None:
        alarm("quiet", "OK")
        alarm("loud", "ALARM")
        alarm("unsure", "INSUFFICIENT_DATA")
        alarm("other", "ALARM")

        assert metrics.firing(["quiet", "loud", "unsure"]) == ["loud"]

    def test_reads_more_alarms_than_fit_in_a_call(
        self, metrics: CloudWatchMetrics, alarm: Callable[[str, str], None]
    ) -> None:
        names = [f"alarm-{n:03}" for n in range(105)]
        for name in names:
            alarm(name, "OK")
        alarm("alarm-104", "ALARM")

        assert metrics.firing(names) == ["alarm-104"]

    def test_refuses_to_go_by_an_alarm_that_is_not_there(self, metrics: CloudWatchMetrics) -> None:
        with pytest.raises(NotFound, match="There is no alarm misspelt"):
            metrics.firing(["misspelt"])

    def test_no_alarms_are_asked_for_none(
        self, metrics: CloudWatchMetrics, alarm: Callable[[str, str], None]
    ) -> None:
        alarm("loud", "ALARM")

        assert metrics.firing([]) == []
