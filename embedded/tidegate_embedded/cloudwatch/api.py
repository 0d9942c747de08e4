"""`GetMetricData` and `GetMetricStatistics`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ministack.core import responses
from ministack.services import cloudwatch

from tidegate_embedded.cloudwatch.expressions import ExpressionError
from tidegate_embedded.cloudwatch.queries import Queries, metric_of
from tidegate_embedded.cloudwatch.statistics import InvalidStatisticError, Reader, statistic
from tidegate_embedded.patching import Patches

_BASIC_BY_DEFAULT: Final = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")
_BAD_REQUEST: Final = 400
_SUB_MINUTE_PERIODS: Final = (1, 5, 10, 20, 30)
_MINUTE: Final = 60

Input = Mapping[str, Any]
TimeEncoder = Callable[[float], Any]
"""How a protocol writes a time (epoch)."""
Answer = Callable[[Input, TimeEncoder], Mapping[str, Any]]


class _InvalidError(Exception):
    """A parameter cannot be as it is."""


def answer_queries(patches: Patches) -> None:
    """Answer the two operations; AWS's SDKs send them in CBOR or JSON, forms stay ministack's."""
    patches.replace(cloudwatch, "_get_metric_data", _answering(get_metric_data))
    patches.replace(cloudwatch, "_get_metric_statistics", _answering(get_metric_statistics))


def _answering(answer: Answer) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def make(own: Callable[..., Any]) -> Callable[..., Any]:
        def handle(form: Input, data: Input, is_cbor: bool, is_json: bool = False) -> Any:
            if not (is_cbor or is_json):
                return own(form, data, is_cbor, is_json)
            try:
                result = answer(data, cloudwatch._cbor_timestamp if is_cbor else int)
            except (ExpressionError, InvalidStatisticError, _InvalidError) as error:
                return cloudwatch._error(
                    "ValidationError", str(error), _BAD_REQUEST, is_json, is_cbor
                )
            return cloudwatch._cbor_ok(result) if is_cbor else cloudwatch._json_ok(result)

        return handle

    return make


def get_metric_data(data: Input, encode_time: TimeEncoder) -> Mapping[str, Any]:
    """The answer to `GetMetricData`."""
    asked = data.get("MetricDataQueries") or []
    reader = _reader(data)
    queries = Queries(
        asked, reader, account=responses.get_account_id(), region=responses.get_region()
    )
    ascending = data.get("ScanBy") == "TimestampAscending"
    results = []
    for query in asked:
        _check_period(queries.period(query["Id"]))
        series = sorted(queries.series(query["Id"]).items(), reverse=not ascending)
        if query.get("ReturnData", True):
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label") or _label(query),
                    "StatusCode": "Complete",
                    "Timestamps": [encode_time(at) for at, _ in series],
                    "Values": [value for _, value in series],
                }
            )
    return {"MetricDataResults": results, "Messages": []}


def get_metric_statistics(data: Input, encode_time: TimeEncoder) -> Mapping[str, Any]:
    """The answer to `GetMetricStatistics`."""
    period = int(data.get("Period") or _MINUTE)
    _check_period(period)
    extended = list(data.get("ExtendedStatistics") or ())
    basic = list(data.get("Statistics") or (() if extended else _BASIC_BY_DEFAULT))
    metric = metric_of(data, responses.get_account_id(), responses.get_region())
    computing = {name: statistic(name) for name in extended}
    datapoints = []
    for at, sample in _reader(data).samples(metric, period).items():
        datapoint: dict[str, Any] = {"Timestamp": encode_time(at), "Unit": sample.unit}
        datapoint |= {name: sample.basic[name] for name in basic if name in sample.basic}
        values = {name: compute(sample) for name, compute in computing.items()}
        if values:
            datapoint["ExtendedStatistics"] = {n: v for n, v in values.items() if v is not None}
        datapoints.append(datapoint)
    return {"Label": data.get("MetricName", ""), "Datapoints": datapoints}


def _reader(data: Input) -> Reader:
    start, end = (cloudwatch._parse_ts(data.get(name)) for name in ("StartTime", "EndTime"))
    if start is None or end is None or start >= end:
        raise _InvalidError("The parameter StartTime must be less than the parameter EndTime.")
    return Reader(start, end)


def _check_period(period: int) -> None:
    if period not in _SUB_MINUTE_PERIODS and (period <= 0 or period % _MINUTE):
        raise _InvalidError(
            f"The parameter Period must be 1, 5, 10, 20, 30, or a multiple of 60, not {period}"
        )


def _label(query: Input) -> str:
    return str(
        query["MetricStat"]["Metric"]["MetricName"] if "MetricStat" in query else query["Id"]
    )
