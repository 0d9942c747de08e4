"""CloudWatch's GetMetricData: many series in few calls, a missing answer told from missing data."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from tidegate.aws.errors import calling
from tidegate.core.errors import ServiceRefused, ServiceUnavailable
from tidegate.core.model.plan import MetricStat

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import (
        DimensionTypeDef,
        MetricDataQueryTypeDef,
        MetricDataResultTypeDef,
    )

QUERIES_PER_CALL: Final = 500

Points: TypeAlias = Mapping[int, float]
"""Values by the start of their period, in epoch seconds."""

Wanted: TypeAlias = Mapping[str, MetricStat | str]
"""Series by their ids; a text is metric math over the ids of the same call."""


class MetricData:
    """Reads series of one account and region."""

    def __init__(self, client: CloudWatchClient) -> None:
        self._client = client

    def read(
        self, wanted: Wanted, start: int, end: int, period: int, hidden: Sequence[str] = ()
    ) -> dict[str, Points]:
        """The points of each series within [start, end), which are multiples of the period.

        A series that has none has an empty mapping; ``hidden`` ones only serve expressions.
        Raises ``ServiceUnavailable`` and ``ServiceRefused`` for what could not be read.
        """
        found: dict[str, dict[int, float]] = defaultdict(dict)
        ids = list(wanted) if start < end else []
        for begin in range(0, len(ids), QUERIES_PER_CALL):
            some = ids[begin : begin + QUERIES_PER_CALL]
            queries = [_query(id_, wanted[id_], period, id_ not in hidden) for id_ in some]
            for result in self._results(queries, start, end):
                values = zip(result["Timestamps"], result["Values"], strict=True)
                found[result["Id"]] |= {round(at.timestamp()): value for at, value in values}
        return {id_: found[id_] for id_ in wanted if id_ not in hidden}

    def _results(
        self, queries: Sequence[MetricDataQueryTypeDef], start: int, end: int
    ) -> Iterator[MetricDataResultTypeDef]:
        with calling("read the metrics"):
            pages = self._client.get_paginator("get_metric_data").paginate(
                MetricDataQueries=queries,
                StartTime=datetime.fromtimestamp(start, UTC),
                EndTime=datetime.fromtimestamp(end, UTC),
            )
            for page in pages:
                for result in page["MetricDataResults"]:
                    _refuse_incomplete(result)
                    yield result


def complete(since: datetime, until: datetime, period: int) -> tuple[int, int]:
    """The periods that have closed by ``until``, from the one in which ``since`` lies.

    Start and end in epoch seconds.
    """
    start, end = (math.floor(at.timestamp() / period) * period for at in (since, until))
    return start, end


def _query(id_: str, wanted: MetricStat | str, period: int, shown: bool) -> MetricDataQueryTypeDef:
    if isinstance(wanted, str):
        return {"Id": id_, "Expression": wanted, "Period": period, "ReturnData": shown}
    dimensions: list[DimensionTypeDef] = [
        {"Name": name, "Value": value} for name, value in wanted.dimensions.items()
    ]
    return {
        "Id": id_,
        "MetricStat": {
            "Metric": {
                "Namespace": wanted.namespace,
                "MetricName": wanted.metric,
                "Dimensions": dimensions,
            },
            "Period": period,
            "Stat": wanted.statistic,
        },
        "ReturnData": shown,
    }


def _refuse_incomplete(result: MetricDataResultTypeDef) -> None:
    """Part of the data is fine, as more pages follow; none because of an error is not "no data"."""
    status = result.get("StatusCode", "Complete")
    if status == "InternalError":
        raise ServiceUnavailable(f"CloudWatch could not read {result.get('Label', 'a metric')}.")
    if status == "Forbidden":
        raise ServiceRefused(
            f"CloudWatch refuses to show {result.get('Label', 'a metric')}.",
            remedy="Allow cloudwatch:GetMetricData to the target's role.",
        )
