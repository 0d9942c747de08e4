"""Lambda's metrics and alarms, in CloudWatch."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from tidegate.aws.errors import calling
from tidegate.core.errors import NotFound, ServiceRefused, ServiceUnavailable
from tidegate.core.ports import Counts, Pair, PairCounts

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef, MetricDataResultTypeDef

_NAMESPACE: Final = "AWS/Lambda"
_INVOCATIONS: Final = "Invocations"
_ERRORS: Final = "Errors"
_QUERIES_PER_CALL: Final = 500
_ALARMS_PER_CALL: Final = 100

_T = TypeVar("_T")
_Series = tuple[str, str, str, str]  # function, alias, version, metric


class CloudWatchMetrics:
    """Counts requests by version, in complete periods of ``period_seconds``."""

    def __init__(self, client: CloudWatchClient, period_seconds: int) -> None:
        self._client = client
        self._period = period_seconds

    def counts(self, pairs: Sequence[Pair], since: datetime, until: datetime) -> list[PairCounts]:
        """Complete periods within [since, until) only; a version without data has no requests."""
        start = math.ceil(since.timestamp() / self._period) * self._period
        end = math.floor(until.timestamp() / self._period) * self._period
        series = list(dict.fromkeys(_series(pairs))) if start < end else []
        sums: dict[_Series, float] = defaultdict(float)
        for some in _chunks(series, _QUERIES_PER_CALL):
            for one, values in self._read(some, start, end):
                sums[one] += sum(values)
        return [
            PairCounts(pair, _counts(sums, pair, pair.stable), _counts(sums, pair, pair.candidate))
            for pair in pairs
        ]

    def firing(self, alarms: Sequence[str]) -> list[str]:
        """The alarms among these that are in ALARM. Raises ``NotFound`` for one that is missing."""
        states: dict[str, str] = {}
        for some in _chunks(list(alarms), _ALARMS_PER_CALL):
            with calling("read the alarms"):
                pages = self._client.get_paginator("describe_alarms").paginate(
                    AlarmNames=list(some), AlarmTypes=["MetricAlarm", "CompositeAlarm"]
                )
                for page in pages:
                    for alarm in [*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])]:
                        states[alarm["AlarmName"]] = alarm["StateValue"]
        if missing := [name for name in alarms if name not in states]:
            raise NotFound(
                f"There is no alarm {', '.join(missing)} in this account and region.",
                mend="Correct `checks.alarms` in the manifest, or create the alarm.",
            )
        return [name for name in alarms if states[name] == "ALARM"]

    def _read(
        self, series: Sequence[_Series], start: int, end: int
    ) -> Iterator[tuple[_Series, Sequence[float]]]:
        by_id = {f"q{number}": one for number, one in enumerate(series)}
        queries = [self._query(id_, one) for id_, one in by_id.items()]
        with calling("read Lambda's metrics"):
            pages = self._client.get_paginator("get_metric_data").paginate(
                MetricDataQueries=queries,
                StartTime=datetime.fromtimestamp(start, UTC),
                EndTime=datetime.fromtimestamp(end, UTC),
            )
            for page in pages:
                for result in page["MetricDataResults"]:
                    _refuse_incomplete(result)
                    yield by_id[result["Id"]], result["Values"]

    def _query(self, id_: str, series: _Series) -> MetricDataQueryTypeDef:
        function, alias, version, metric = series
        dimensions = {
            "FunctionName": function,
            "Resource": f"{function}:{alias}",
            "ExecutedVersion": version,
        }
        return {
            "Id": id_,
            "MetricStat": {
                "Metric": {
                    "Namespace": _NAMESPACE,
                    "MetricName": metric,
                    "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
                },
                "Period": self._period,
                "Stat": "Sum",
            },
            "ReturnData": True,
        }


def _series(pairs: Sequence[Pair]) -> Iterator[_Series]:
    for pair in pairs:
        for version in (pair.stable, pair.candidate):
            for metric in (_INVOCATIONS, _ERRORS):
                yield pair.ref.function, pair.ref.alias, version, metric


def _counts(sums: Mapping[_Series, float], pair: Pair, version: str) -> Counts:
    key = (pair.ref.function, pair.ref.alias, version)
    return Counts(
        invocations=round(sums.get((*key, _INVOCATIONS), 0.0)),
        errors=round(sums.get((*key, _ERRORS), 0.0)),
    )


def _refuse_incomplete(result: MetricDataResultTypeDef) -> None:
    """Part of the data is fine, as more pages follow; none because of an error is not "no data"."""
    status = result.get("StatusCode", "Complete")
    if status == "InternalError":
        raise ServiceUnavailable(f"CloudWatch could not read {result.get('Label', 'a metric')}.")
    if status == "Forbidden":
        raise ServiceRefused(
            f"CloudWatch refuses to show {result.get('Label', 'a metric')}.",
            mend="Allow cloudwatch:GetMetricData to the target's role.",
        )


def _chunks(values: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for begin in range(0, len(values), size):
        yield values[begin : begin + size]
