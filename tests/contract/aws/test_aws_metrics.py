"""CloudWatch keeps the contract of the metrics, in few calls, and says what it may not tell."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from contract.ports.metrics import PAIR, Feed, MetricsContract, at, minutes
from tidegate.aws.metrics import CloudWatchMetrics
from tidegate.aws.session import Clients
from tidegate.core.errors import ServiceRefused, ServiceUnavailable
from tidegate.core.model.plan import MetricQuery, MetricStat
from tidegate.core.ports import AliasRef, Counts, Pair

pytestmark = pytest.mark.cloud


class CloudWatchFeed:
    """Publishes as Lambda and applications do: each request counts for the alias and a version."""

    def __init__(self, cloudwatch: Any) -> None:
        self._cloudwatch = cloudwatch

    def serve(  # noqa: PLR0917  # reads as a row of a table
        self,
        version: str,
        at: datetime,
        invocations: int,
        errors: int = 0,
        durations_ms: Iterable[float] = (),
        function: str = "greeter",
    ) -> None:
        alias, durations = _alias(function), list(durations_ms)
        for dimensions in (alias, alias | {"ExecutedVersion": version}):
            self._put("AWS/Lambda", "Invocations", at, [invocations], dimensions)
            self._put("AWS/Lambda", "Errors", at, [errors], dimensions)
            if durations:
                self._put("AWS/Lambda", "Duration", at, durations, dimensions)

    def publish(self, metric: str, at: datetime, value: float, **dimensions: str) -> None:
        self._put("Shop", metric, at, [value], dimensions)

    def alarm(self, name: str, state: str) -> None:
        self._cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="Shop",
            MetricName=f"Orders-{name}",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="LessThanThreshold",
            TreatMissingData="ignore",
        )
        self._cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")

    def _put(
        self,
        namespace: str,
        metric: str,
        at: datetime,
        values: list[float],
        dimensions: dict[str, str],
    ) -> None:
        self._cloudwatch.put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": metric,
                    "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
                    "Timestamp": at,
                    "Values": values,
                    "Counts": [1] * len(values),
                }
            ],
        )


def _alias(function: str) -> dict[str, str]:
    return {"FunctionName": function, "Resource": f"{function}:live"}


@pytest.fixture
def metrics(clients: Clients) -> CloudWatchMetrics:
    return CloudWatchMetrics(clients.make("cloudwatch"), 60)


@pytest.fixture
def feed(client: Callable[[str], Any]) -> Feed:
    return CloudWatchFeed(client("cloudwatch"))


class TestCloudWatchMetrics(MetricsContract):
    """In the embedded AWS."""


def test_uses_no_minute_before_it_is_published(metrics: CloudWatchMetrics, feed: Feed) -> None:
    for minute in range(5):
        feed.serve("2", at(minute), 10**minute)

    (served,) = metrics.bins([PAIR], at(1), at(4.9))

    assert [minute for minute, _, _ in minutes(served)] == [1, 2]


def test_reads_more_functions_than_fit_in_a_call(metrics: CloudWatchMetrics, feed: Feed) -> None:
    pairs = [Pair(AliasRef(f"function-{n}", "live"), "1", "2") for n in range(130)]
    feed.serve("2", at(1), 3, 1, function="function-0")
    feed.serve("2", at(1), 4, 2, function="function-129")

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


def test_own_metrics_are_computed_with_metric_math(metrics: CloudWatchMetrics, feed: Feed) -> None:
    for minute, (placed, failed) in enumerate([(100, 1), (200, 10)]):
        feed.publish("Placed", at(minute), placed)
        feed.publish("Failed", at(minute), failed)
    stats = {
        "placed": MetricStat(namespace="Shop", metric="Placed"),
        "failed": MetricStat(namespace="Shop", metric="Failed"),
    }
    share = MetricQuery(name="share", stats=stats, expression="100 * failed / placed")
    twice = MetricQuery(name="twice", stats=stats, expression="2 * failed")

    found = metrics.series([share, twice], at(0), at(5))

    assert [one.name for one in found] == ["share", "twice"]
    assert [[value.value for value in one.values] for one in found] == [
        pytest.approx([1, 5]),
        pytest.approx([2, 20]),
    ]


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


def test_reads_more_alarms_than_fit_in_a_call(metrics: CloudWatchMetrics, feed: Feed) -> None:
    names = [f"alarm-{n:03}" for n in range(105)]
    for name in names:
        feed.alarm(name, "OK")
    feed.alarm("alarm-104", "ALARM")

    assert metrics.firing(names) == ["alarm-104"]
