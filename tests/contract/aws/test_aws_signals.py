"""CloudWatch keeps the contract of the signals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from contract.ports.signals import SignalFeed, SignalsContract
from tidegate.aws.session import Clients
from tidegate.aws.signals import CloudWatchSignals
from tidegate.core.ports import AliasRef

pytestmark = pytest.mark.cloud


class CloudWatchSignalFeed:
    def __init__(self, cloudwatch: Any) -> None:
        self._cloudwatch = cloudwatch

    def alarm(self, name: str, state: str) -> None:
        self._cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/Lambda",
            MetricName=f"Errors-{name}",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",
        )
        self._cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")

    def serve(self, ref: AliasRef, version: str, at: datetime, requests: int) -> None:
        dimensions = {
            "FunctionName": ref.function,
            "Resource": f"{ref.function}:{ref.alias}",
            "ExecutedVersion": version,
        }
        self._cloudwatch.put_metric_data(
            Namespace="AWS/Lambda",
            MetricData=[
                {
                    "MetricName": "Invocations",
                    "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
                    "Timestamp": at,
                    "Value": requests,
                    "Unit": "Count",
                }
            ],
        )


class TestCloudWatchSignals(SignalsContract):
    @pytest.fixture
    def signals(self, clients: Clients) -> CloudWatchSignals:
        return CloudWatchSignals(clients.make("cloudwatch"))

    @pytest.fixture
    def feed(self, client: Callable[[str], Any]) -> SignalFeed:
        return CloudWatchSignalFeed(client("cloudwatch"))
