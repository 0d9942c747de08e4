"""The course of an alias's traffic over the last hours, from CloudWatch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tidegate.aws.errors import calling
from tidegate.core.ports import Counts

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

SLOT_SECONDS: Final = 300


def read_course(
    client: CloudWatchClient, function: str, alias: str, since: datetime, until: datetime
) -> tuple[int, list[Counts]]:
    """The length of a slot in seconds, and what the alias served in each, oldest first.

    Slots without data are quiet ones.
    """
    start, end = (int(at.timestamp()) // SLOT_SECONDS * SLOT_SECONDS for at in (since, until))
    sums: dict[tuple[str, int], float] = {}
    with calling("read the function's traffic"):
        pages = client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[_query(function, alias, name) for name in ("Invocations", "Errors")],
            StartTime=datetime.fromtimestamp(start, UTC),
            EndTime=datetime.fromtimestamp(end, UTC),
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                    sums[result["Id"], int(at.timestamp())] = value
    return SLOT_SECONDS, [
        Counts(round(sums.get(("invocations", at), 0)), round(sums.get(("errors", at), 0)))
        for at in range(start, end, SLOT_SECONDS)
    ]


def _query(function: str, alias: str, metric: str) -> MetricDataQueryTypeDef:
    dimensions = {"FunctionName": function, "Resource": f"{function}:{alias}"}
    return {
        "Id": metric.lower(),
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/Lambda",
                "MetricName": metric,
                "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
            },
            "Period": SLOT_SECONDS,
            "Stat": "Sum",
        },
        "ReturnData": True,
    }
