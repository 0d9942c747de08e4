"""Alarms and metrics in CloudWatch tell whether they have anything to tell."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegate.aws.session import Clients
from tidegate.aws.signals import CloudWatchSignals
from tidegate.core.ports import AliasRef

pytestmark = pytest.mark.cloud

REF = AliasRef("hello", "live")


@pytest.fixture
def signals(clients: Clients) -> CloudWatchSignals:
    return CloudWatchSignals(clients.make("cloudwatch"))


def test_tells_alarms_with_data_from_those_without_and_those_that_are_missing(
    signals: CloudWatchSignals, client: Callable[[str], Any]
) -> None:
    cloudwatch = client("cloudwatch")
    for name in ("quiet", "silent"):
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/Lambda",
            MetricName=f"Errors-{name}",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
    cloudwatch.set_alarm_state(AlarmName="quiet", StateValue="OK", StateReason="test")
    found = signals.alarms(["quiet", "silent", "missing"])
    assert found == {"quiet": "OK", "silent": "INSUFFICIENT_DATA"}
    assert signals.alarms([]) == {}


def test_counts_the_requests_of_one_version_behind_the_alias(
    signals: CloudWatchSignals, client: Callable[[str], Any]
) -> None:
    now = datetime.now(UTC)
    for version, calls in (("1", 3), ("1", 4), ("2", 50)):
        dimensions = {
            "FunctionName": "hello",
            "Resource": "hello:live",
            "ExecutedVersion": version,
        }
        client("cloudwatch").put_metric_data(
            Namespace="AWS/Lambda",
            MetricData=[
                {
                    "MetricName": "Invocations",
                    "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
                    "Timestamp": now - timedelta(minutes=5),
                    "Value": calls,
                    "Unit": "Count",
                }
            ],
        )
    day = timedelta(days=1)
    until = now + timedelta(minutes=1)
    assert signals.requests(REF, "1", now - day, until) == 7
    assert signals.requests(AliasRef("hello", "other"), "1", now - day, until) == 0
