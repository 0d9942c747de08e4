"""Post-traffic hook: users must be served by the released version, and without errors."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from tidegate.hooks import Checks, HookEvent, ReleasedFunction, hook

LOOK_BACK = timedelta(minutes=15)
MOST_ERRORS = 0.01  # of the requests that the new version has served


@functools.cache
def cloudwatch() -> Any:
    return boto3.client("cloudwatch")


def served(client: Any, function: ReleasedFunction, metric: str) -> int:
    """The sum of a metric over the requests that the new version got through its alias."""
    now = datetime.now(UTC)
    dimensions = {
        "FunctionName": function.function,
        "Resource": f"{function.function}:{function.alias}",
        "ExecutedVersion": function.candidate_version,
    }
    answer = client.get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - LOOK_BACK,
        EndTime=now,
        Period=60,
        Statistics=["Sum"],
    )
    return round(sum(point["Sum"] for point in answer["Datapoints"]))


@hook
def handler(event: HookEvent, checks: Checks) -> None:
    """Ask each live alias once, and look at how it has served users while traffic shifted."""
    for function in event.functions:
        grace = checks.invoke(function.alias_arn, {"name": "Grace"})
        grace.came_from(function.candidate_version).has_status(200)
        grace.matches(r"\bGrace\b", at="message")

        requests = served(cloudwatch(), function, "Invocations")
        errors = served(cloudwatch(), function, "Errors")
        checks.that(
            f"{function.function}: at most {MOST_ERRORS:.0%} of requests fail",
            errors <= MOST_ERRORS * requests,
            f"{errors} of {requests} failed",
        )
