"""Lambda's metrics are counted by version; alarms tell whether they fire."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import Stubber

from tidegate.aws.metrics import CloudWatchMetrics
from tidegate.aws.session import Clients
from tidegate.core.errors import NotFound, ServiceRefused, ServiceUnavailable
from tidegate.core.ports import AliasRef, Counts, Pair, PairCounts

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


def test_counts_each_version_by_itself(metrics: CloudWatchMetrics, serve: Serve) -> None:
    serve("1", at(0), 900, 9)
    serve("1", at(1.5), 100, 1)
    serve("2", at(1.5), 50, 25)
    serve("3", at(1.5), 7, 7)

    assert metrics.counts([PAIR], at(0), at(5)) == [
        PairCounts(PAIR, stable=Counts(1000, 10), candidate=Counts(50, 25))
    ]


def test_counts_complete_minutes_only(metrics: CloudWatchMetrics, serve: Serve) -> None:
    for minute in range(5):
        serve("2", at(minute), 10**minute)

    (counted,) = metrics.counts([PAIR], at(0.5), at(3.9))

    assert counted.candidate.invocations == 110


def test_counts_nothing_in_less_than_a_minute(metrics: CloudWatchMetrics, serve: Serve) -> None:
    serve("2", at(0), 5)

    (counted,) = metrics.counts([PAIR], at(0.1), at(0.9))

    assert counted == PairCounts(PAIR, Counts(), Counts())


def test_without_data_there_were_no_requests(metrics: CloudWatchMetrics) -> None:
    assert metrics.counts([PAIR], at(0), at(5)) == [PairCounts(PAIR, Counts(), Counts())]
    assert metrics.counts([], at(0), at(5)) == []


def test_counts_more_functions_than_fit_in_a_call(metrics: CloudWatchMetrics, serve: Serve) -> None:
    pairs = [Pair(AliasRef(f"function-{n}", "live"), "1", "2") for n in range(130)]
    serve("2", at(1), 3, 1, function="function-0")
    serve("2", at(1), 4, 2, function="function-129")

    counted = metrics.counts(pairs, at(0), at(5))

    assert [c.pair for c in counted] == pairs
    assert (counted[0].candidate, counted[-1].candidate) == (Counts(3, 1), Counts(4, 2))
    assert sum(c.candidate.invocations for c in counted) == 7


@pytest.mark.parametrize(
    ("status", "error"), [("InternalError", ServiceUnavailable), ("Forbidden", ServiceRefused)]
)
def test_takes_data_that_it_may_not_see_for_an_error(
    status: str, error: type[Exception], clients: Clients
) -> None:
    cloudwatch = clients.make("cloudwatch")
    result = {"Id": "q0", "Label": "Invocations", "StatusCode": status, "Values": []}

    with Stubber(cloudwatch) as answers:
        answers.add_response("get_metric_data", {"MetricDataResults": [result]})
        with pytest.raises(error, match="Invocations"):
            CloudWatchMetrics(cloudwatch, 60).counts([PAIR], at(0), at(5))


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
