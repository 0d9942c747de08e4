"""Whether alarms and metrics tell anything at all, in CloudWatch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from tidegate.aws.errors import calling
from tidegate.core.ports import AliasRef

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

_MOST_DATAPOINTS: Final = 1440  # of one answer
_MINUTE: Final = 60


class CloudWatchSignals:
    """Looks at alarms and at Lambda's own metrics."""

    def __init__(self, client: CloudWatchClient) -> None:
        self._client = client

    def alarms(self, names: Sequence[str]) -> dict[str, str]:
        """CloudWatch's word for each alarm that is there."""
        if not names:
            return {}
        with calling("read the alarms"):
            pages = self._client.get_paginator("describe_alarms").paginate(
                AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"]
            )
            return {
                alarm["AlarmName"]: alarm["StateValue"]
                for page in pages
                for alarm in [*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])]
            }

    def requests(self, ref: AliasRef, version: str, since: datetime, until: datetime) -> int:
        """How often the alias sent a request to this version."""
        dimensions = {
            "FunctionName": ref.function,
            "Resource": f"{ref.function}:{ref.alias}",
            "ExecutedVersion": version,
        }
        minutes = math.ceil((until - since).total_seconds() / _MINUTE / _MOST_DATAPOINTS)
        with calling(f"read the metrics of {ref.function}:{ref.alias}"):
            answer = self._client.get_metric_statistics(
                Namespace="AWS/Lambda",
                MetricName="Invocations",
                Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
                StartTime=since,
                EndTime=until,
                Period=max(1, minutes) * _MINUTE,
                Statistics=["Sum"],
            )
        return round(sum(point["Sum"] for point in answer["Datapoints"]))
