"""Metrics and alarms of the embedded CloudWatch answer as CloudWatch does."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ministack.core import responses

from support.waiting import messages, stack_status, wait_until
from tidegate_embedded.cloud import EmbeddedAws
from tidegate_embedded.cloudwatch.api import get_metric_data
from tidegate_embedded.cloudwatch.store import Metric, Recorder

pytestmark = pytest.mark.cloud

NOON = 1_790_000_040.0
"""A minute's start in the past; its value has no meaning."""


def put(
    aws: EmbeddedAws,
    account: str,
    name: str,
    values: Mapping[float, Sequence[float]],
    **dimensions: str,
) -> None:
    """Publish values by their time."""
    client = aws.client("cloudwatch", account=account)
    client.put_metric_data(
        Namespace="Shop",
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
                "Timestamp": datetime.fromtimestamp(at, UTC),
                "Values": list(each),
                "StorageResolution": 1,
            }
            for at, each in values.items()
        ],
    )


def stat_query(
    query_id: str, name: str, stat: str, period: int, *, returned: bool = True, **dimensions: str
) -> dict[str, Any]:
    metric = {
        "Namespace": "Shop",
        "MetricName": name,
        "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
    }
    return {
        "Id": query_id,
        "MetricStat": {"Metric": metric, "Stat": stat, "Period": period},
        "ReturnData": returned,
    }


def read(
    aws: EmbeddedAws,
    account: str,
    *queries: Mapping[str, Any],
    start: float = NOON,
    end: float = NOON + 60,
    order: str = "TimestampAscending",
) -> dict[str, list[float]]:
    """The values of each query."""
    answer = aws.client("cloudwatch", account=account).get_metric_data(
        MetricDataQueries=list(queries),
        StartTime=datetime.fromtimestamp(start, UTC),
        EndTime=datetime.fromtimestamp(end, UTC),
        ScanBy=order,
    )
    return {result["Id"]: result["Values"] for result in answer["MetricDataResults"]}


@pytest.mark.parametrize(
    ("period", "sums"),
    [
        (1, [1, 2, 4, 8, 16]),
        (5, [3, 4, 24]),
        (10, [7, 24]),
        (30, [15, 16]),
        (60, [31]),
    ],
)
def test_sums_by_periods_below_a_minute(
    aws: EmbeddedAws, account: str, period: int, sums: list[float]
) -> None:
    seconds = (0, 4, 9, 10 if period > 10 else 11, 14 if period < 30 else 31)
    values = {NOON + second: [2.0**i] for i, second in enumerate(seconds)}
    put(aws, account, "Requests", values)

    assert read(aws, account, stat_query("m", "Requests", "Sum", period)) == {"m": sums}


def test_gives_the_newest_first_unless_told_otherwise(aws: EmbeddedAws, account: str) -> None:
    put(aws, account, "Requests", {NOON: [1], NOON + 10: [2]})
    query = stat_query("m", "Requests", "Sum", 10)

    assert read(aws, account, query, order="TimestampDescending") == {"m": [2, 1]}


def test_gives_percentiles_and_percentile_ranks(aws: EmbeddedAws, account: str) -> None:
    put(aws, account, "Latency", {NOON: [float(n) for n in range(1, 101)]})
    stats = {
        "count": "SampleCount",
        "mean": "Average",
        "median": "p50",
        "p99": "p99",
        "fast": "PR(:20)",
        "middle": "PR(20:50)",
        "slow": "PR(90:)",
    }

    found = read(
        aws, account, *(stat_query(key, "Latency", stat, 60) for key, stat in stats.items())
    )

    assert {key: values[0] for key, values in found.items()} == pytest.approx(
        {"count": 100, "mean": 50.5, "median": 50.5, "p99": 99.01}
        | {"fast": 20, "middle": 30, "slow": 10}
    )


def test_a_metric_is_what_has_exactly_these_dimensions(aws: EmbeddedAws, account: str) -> None:
    put(aws, account, "Requests", {NOON: [1]})
    put(aws, account, "Requests", {NOON: [10]}, Shop="north")
    put(aws, account, "Requests", {NOON: [100]}, Shop="north", Till="1")

    assert read(
        aws,
        account,
        stat_query("all", "Requests", "Sum", 60),
        stat_query("shop", "Requests", "Sum", 60, Shop="north"),
        stat_query("till", "Requests", "Sum", 60, Shop="north", Till="1"),
        stat_query("none", "Requests", "Sum", 60, Shop="south"),
    ) == {"all": [1], "shop": [10], "till": [100], "none": []}


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("errors / requests * 100", [10, 50]),
        ("100 * errors / (errors + requests)", [pytest.approx(9.0909, abs=1e-4), 100 / 3]),
        ("errors / idle", []),
        ("FILL(idle, 0) + errors", [1, 5]),
        ("IF(requests > 10, errors, -1)", [-1, -1]),
        ("IF(requests >= 10 AND errors < 5, 1, 0)", [1, 0]),
        ("IF(requests == 10 && errors == 1 || errors == 5, 1, 0)", [1, 1]),
        ("SUM([requests, errors])", [11, 15]),
        ("MAX(METRICS())", [10, 10]),
        ("errors / SUM(errors)", [1 / 6, 5 / 6]),
        ("RUNNING_SUM(errors)", [1, 6]),
        ("requests / PERIOD(requests)", [1, 1]),
        ("CEIL(errors / 2)", [1, 3]),
        ("errors ^ 2", [1, 25]),
        ("-errors ^ 2", [-1, -25]),
        ("10 - errors - 1", [8, 4]),
        ("MAX(METRICS('err'))", [1, 5]),
    ],
)
def test_evaluates_metric_math(
    aws: EmbeddedAws, account: str, expression: str, values: list[float]
) -> None:
    put(aws, account, "Requests", {NOON: [10], NOON + 10: [10]})
    put(aws, account, "Errors", {NOON: [1], NOON + 10: [5]})

    found = read(
        aws,
        account,
        stat_query("requests", "Requests", "Sum", 10, returned=False),
        stat_query("errors", "Errors", "Sum", 10, returned=False),
        stat_query("idle", "Idle", "Sum", 10, returned=False),
        {"Id": "result", "Expression": expression},
        end=NOON + 20,
    )

    assert found == {"result": [pytest.approx(v) if isinstance(v, float) else v for v in values]}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"Id": "e", "Expression": "1 +"}, "not well-formed"),
        ({"Id": "e", "Expression": "(1 + 2"}, "not well-formed"),
        ({"Id": "e", "Expression": "errors $ 2"}, "no part of an expression"),
        ({"Id": "e", "Expression": "'errors' + 2"}, "no value of its own"),
        ({"Id": "e", "Expression": "1 + 1"}, "must be a time series"),
        ({"Id": "e", "Expression": "m1 / 2"}, "No query has the id m1"),
        ({"Id": "e", "Expression": "e + 1"}, "refers to itself"),
        ({"Id": "e", "Expression": "GUESS(1)"}, "GUESS is not supported"),
        (stat_query("m", "Requests", "Median", 60), "Median"),
        (stat_query("m", "Requests", "Sum", 7), "Period"),
    ],
)
def test_refuses_what_it_cannot_answer(
    aws: EmbeddedAws, account: str, query: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message) as refused:
        read(aws, account, query)

    assert refused.value.response["Error"]["Code"] == "ValidationError"


def test_gives_statistics_of_one_metric(aws: EmbeddedAws, account: str) -> None:
    put(aws, account, "Latency", {NOON: [1, 2, 3], NOON + 30: [9]})
    client = aws.client("cloudwatch", account=account)

    answer = client.get_metric_statistics(
        Namespace="Shop",
        MetricName="Latency",
        StartTime=datetime.fromtimestamp(NOON, UTC),
        EndTime=datetime.fromtimestamp(NOON + 60, UTC),
        Period=30,
        Statistics=["Sum", "Maximum"],
    )

    assert [(point["Sum"], point["Maximum"]) for point in answer["Datapoints"]] == [(6, 3), (9, 9)]
    assert answer["Datapoints"][1]["Timestamp"] == datetime.fromtimestamp(NOON + 30, UTC)


def test_a_histogram_over_a_load_test_goes_through_the_values_once(
    aws: EmbeddedAws, account: str
) -> None:
    recorder = Recorder()
    metric = Metric.of(account, "eu-west-1", "Shop", "Latency", {})
    for number in range(20_000):
        recorder.add(metric, 1 + number % 97 / 10, "Milliseconds", NOON + number // 200)
    bounds = [0, 1, 2, 3, 5, 8, 13]
    first, *more = [
        stat_query(f"h{low}", "Latency", f"PR({low}:{high})", 10) for low, high in pairwise(bounds)
    ]
    count = stat_query("n", "Latency", "SampleCount", 10)

    assert sum(read(aws, account, first, *more, count, end=NOON + 100)["n"]) == 20_000
    few, all_of_them = (_calls(account, *asked, count) for asked in ([first], [first, *more]))

    assert few < all_of_them < 1.1 * few


def _calls(account: str, *queries: Mapping[str, Any]) -> int:
    """How many functions are called to answer: no measure of the machine."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    asked = {"MetricDataQueries": queries, "StartTime": NOON, "EndTime": NOON + 100}
    before = sys.getprofile()
    with responses.request_scope(account, "eu-west-1"):
        sys.setprofile(count)
        try:
            get_metric_data(asked, int)
        finally:
            sys.setprofile(before)
    return calls


# Alarms

HOUR = 3600
"""The period of an alarm that is to see its data, however late it looks."""


class Alarms:
    """Alarms of one account, and a queue that hears of their changes."""

    def __init__(self, aws: EmbeddedAws, account: str) -> None:
        self.aws, self.account = aws, account
        self.client = aws.client("cloudwatch", account=account)
        self.queue = aws.client("sqs", account=account)
        self.url = self.queue.create_queue(QueueName="changes")["QueueUrl"]
        events = aws.client("events", account=account)
        pattern = {"source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"]}
        events.put_rule(Name="changes", EventPattern=json.dumps(pattern))
        arn = f"arn:aws:sqs:eu-west-1:{account}:changes"
        events.put_targets(Rule="changes", Targets=[{"Id": "queue", "Arn": arn}])

    def create(self, name: str = "errors", **settings: Any) -> None:
        plain = {"Namespace": "Shop", "MetricName": "Errors", "Statistic": "Sum", "Period": HOUR}
        self.client.put_metric_alarm(
            AlarmName=name,
            **{
                **({} if "Metrics" in settings else plain),
                "EvaluationPeriods": 1,
                "Threshold": 5.0,
                "ComparisonOperator": "GreaterThanThreshold",
                **settings,
            },
        )

    def state(self, name: str = "errors") -> Any:
        return self.client.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]

    def await_state(self, wanted: str, name: str = "errors") -> Any:
        wait_until(lambda: self.state(name)["StateValue"] == wanted)
        return self.state(name)

    def next_event(self) -> dict[str, Any]:
        [message] = messages(self.queue, self.url)
        event: dict[str, Any] = json.loads(message["Body"])
        return event


@pytest.fixture
def alarms(aws: EmbeddedAws, account: str) -> Alarms:
    return Alarms(aws, account)


def now() -> float:
    return time.time()


@pytest.mark.parametrize("period", [60, HOUR])
def test_an_alarm_goes_off_as_soon_as_a_sum_is_over_its_threshold(
    alarms: Alarms, period: int
) -> None:
    alarms.create(Period=period)

    put(alarms.aws, alarms.account, "Errors", {now(): [3, 3]})

    alarm = alarms.await_state("ALARM")
    assert "6.0" in alarm["StateReason"]
    assert "greater than the threshold (5.0)" in alarm["StateReason"]


def test_an_alarm_looks_only_at_its_own_dimensions(alarms: Alarms) -> None:
    alarms.create("north", Dimensions=[{"Name": "Shop", "Value": "north"}])
    alarms.create("south", Dimensions=[{"Name": "Shop", "Value": "south"}])

    put(alarms.aws, alarms.account, "Errors", {now(): [6]}, Shop="north")

    alarms.await_state("ALARM", "north")
    assert alarms.state("south")["StateValue"] == "INSUFFICIENT_DATA"


def test_an_average_is_judged_when_its_period_is_over(alarms: Alarms) -> None:
    alarms.create(Statistic="Average")

    put(alarms.aws, alarms.account, "Errors", {now() - HOUR: [6]})

    alarms.await_state("ALARM")


def test_an_alarm_on_metric_math_goes_off(alarms: Alarms) -> None:
    alarms.create(
        Metrics=[
            stat_query("errors", "Errors", "Sum", HOUR, returned=False),
            stat_query("requests", "Requests", "Sum", HOUR, returned=False),
            {"Id": "rate", "Expression": "100 * errors / requests", "ReturnData": True},
        ]
    )
    earlier = now() - HOUR
    put(alarms.aws, alarms.account, "Requests", {earlier: [100]})
    put(alarms.aws, alarms.account, "Errors", {earlier: [7]})

    alarms.await_state("ALARM")


def test_a_template_may_have_an_alarm_on_metric_math(alarms: Alarms) -> None:
    queries = [
        stat_query("errors", "Errors", "Sum", HOUR, returned=False),
        {"Id": "twice", "Expression": "errors * 2", "ReturnData": "true"},
    ]
    properties = {
        "AlarmName": "errors",
        "Metrics": queries,
        "EvaluationPeriods": 1,
        "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    stacks = alarms.aws.client("cloudformation", account=alarms.account)
    template = {"Resources": {"A": {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}}}
    stacks.create_stack(StackName="alarms", TemplateBody=json.dumps(template))
    assert stack_status(stacks, "alarms") == "CREATE_COMPLETE"
    alarms.await_state("OK")

    put(alarms.aws, alarms.account, "Errors", {now() - HOUR: [3]})

    alarms.await_state("ALARM")
    assert [each["Id"] for each in alarms.state()["Metrics"]] == ["errors", "twice"]


def test_a_change_is_an_event_with_what_and_why(alarms: Alarms) -> None:
    alarms.create(AlarmDescription="Errors of the shop", Dimensions=[{"Name": "A", "Value": "b"}])
    put(alarms.aws, alarms.account, "Errors", {now(): [6]}, A="b")

    event = alarms.next_event()

    arn = f"arn:aws:cloudwatch:eu-west-1:{alarms.account}:alarm:errors"
    assert event["resources"] == [arn]
    detail = event["detail"]
    assert detail["alarmName"] == "errors"
    assert detail["state"]["value"] == "ALARM"
    assert detail["state"]["reason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints")
    assert json.loads(detail["state"]["reasonData"])["recentDatapoints"] == [6.0]
    assert detail["previousState"]["value"] == "INSUFFICIENT_DATA"
    assert detail["configuration"]["description"] == "Errors of the shop"
    [metric] = detail["configuration"]["metrics"]
    assert metric["metricStat"] == {
        "metric": {"namespace": "Shop", "name": "Errors", "dimensions": {"A": "b"}},
        "period": HOUR,
        "stat": "Sum",
    }


def test_a_state_set_by_hand_is_an_event(alarms: Alarms) -> None:
    alarms.create()
    alarms.client.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="drill")

    event = alarms.next_event()

    assert event["detail"]["state"]["reason"] == "drill"


def test_a_composite_alarm_follows_and_is_an_event(alarms: Alarms) -> None:
    alarms.create()
    alarms.client.put_composite_alarm(AlarmName="any", AlarmRule='ALARM("errors")')
    put(alarms.aws, alarms.account, "Errors", {now(): [6]})

    names = {alarms.next_event()["detail"]["alarmName"] for _ in range(2)}

    assert "any" in names
