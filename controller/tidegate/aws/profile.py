"""The course of an alias's traffic over the last hours, from CloudWatch."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from tidegate.aws.metricdata import MetricData, complete
from tidegate.core.model.plan import MetricStat
from tidegate.core.ports import Counts

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

SLOT_SECONDS: Final = 300
_PUBLISHED_AFTER: Final = timedelta(minutes=1)


def read_course(
    client: CloudWatchClient, function: str, alias: str, since: datetime, until: datetime
) -> tuple[int, list[Counts]]:
    """The length of a slot in seconds, and what the alias served in each, oldest first.

    Slots without data are quiet ones; one that is not over is left out. Raises
    ``ServiceUnavailable`` and ``ServiceRefused`` for what could not be read.
    """
    start, end = complete(since, until - _PUBLISHED_AFTER, SLOT_SECONDS)
    dimensions = {"FunctionName": function, "Resource": f"{function}:{alias}"}
    wanted = {
        name.lower(): MetricStat(namespace="AWS/Lambda", metric=name, dimensions=dimensions)
        for name in ("Invocations", "Errors")
    }
    read = MetricData(client).read(wanted, start, end, SLOT_SECONDS)
    return SLOT_SECONDS, [
        Counts(round(read["invocations"].get(at, 0)), round(read["errors"].get(at, 0)))
        for at in range(start, end, SLOT_SECONDS)
    ]
