"""Lambda's metrics by version, the user's own, and alarms, in CloudWatch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from tidegate.aws.errors import calling
from tidegate.aws.metricdata import MetricData, Points, complete
from tidegate.core.errors import NotFound
from tidegate.core.model.plan import MetricQuery, MetricStat
from tidegate.core.ports import (
    AliasRef,
    Baseline,
    Bin,
    Counts,
    LatencyBin,
    MetricSeries,
    MetricValue,
    Pair,
    PairBins,
    Slower,
)

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

_INVOCATIONS: Final = ("Invocations", "Sum")
_ERRORS: Final = ("Errors", "Sum")
_DURATIONS: Final = ("Duration", "SampleCount")
_EDGES: Final = tuple(("Duration", p) for p in ("p50", "p75", "p90", "p95", "p99"))
_ALARMS_PER_CALL: Final = 100
_HOUR: Final = 3600

_T = TypeVar("_T")


class _Series(NamedTuple):
    """One statistic of one of Lambda's metrics; without a version, of all that an alias serves."""

    ref: AliasRef
    version: str
    metric: str
    statistic: str


_Read = Mapping[_Series, Points]


class CloudWatchMetrics:
    """Reads metrics in periods of ``period_seconds``.

    CloudWatch takes about as long as a period to publish it, so the latest that has closed is left
    out until the next has. Every look reads all periods anew: what comes late is seen, later.
    """

    def __init__(self, client: CloudWatchClient, period_seconds: int) -> None:
        self._client = client
        self._data = MetricData(client)
        self._period = period_seconds

    def bins(
        self,
        pairs: Sequence[Pair],
        since: datetime,
        until: datetime,
        edges_ms: Sequence[Sequence[float]] = (),
        tolerance: float = 0.0,
    ) -> list[PairBins]:
        """What both versions of each pair served, 500 series to a call."""
        edges = [tuple(some) for some in edges_ms] or [()] * len(pairs)
        both = list(zip(pairs, edges, strict=True))
        wanted = [series for pair, some in both for series in _of_pair(pair, some, tolerance)]
        start, end = complete(since, self._published(until), self._period)
        read = self._series(wanted, start, end, self._period)
        found = (_pair_bins(pair, some, tolerance, read) for pair, some in both)
        return [replace(one, period_seconds=self._period) for one in found]

    def baselines(
        self, refs: Sequence[AliasRef], since: datetime, until: datetime
    ) -> list[Baseline]:
        """What each alias served since the beginning of the hour of ``since``."""
        start = int(since.timestamp()) // _HOUR * _HOUR
        end = int(until.timestamp())
        kinds = (_INVOCATIONS, _ERRORS, *_EDGES)
        wanted = [_Series(ref, "", *kind) for ref in refs for kind in kinds]
        read = self._series(wanted, start, end, _HOUR)
        return [_baseline(ref, read, end - start) for ref in refs]

    def series(
        self, queries: Sequence[MetricQuery], since: datetime, until: datetime
    ) -> list[MetricSeries]:
        """The complete periods of the user's metrics, metric math included."""
        wanted: dict[str, MetricStat | str] = {}
        ids: dict[str, str] = {}
        for number, query in enumerate(queries):
            own = {name: f"m{number}_{name}" for name in query.stats}
            wanted |= {own[name]: stat for name, stat in query.stats.items()}
            ids[query.name] = next(iter(own.values()), "")
            if query.expression:
                ids[query.name] = f"e{number}"
                wanted[f"e{number}"] = _with_ids(query.expression, own)
        hidden = [id_ for id_ in wanted if id_ not in ids.values()]
        start, end = complete(since, self._published(until), self._period)
        read = self._data.read(wanted, start, end, self._period, hidden)
        return [MetricSeries(name, _values(read[id_])) for name, id_ in ids.items()]

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
                remedy="Correct `checks.alarms` in the manifest, or create the alarm.",
            )
        return [name for name in alarms if states[name] == "ALARM"]

    def _published(self, until: datetime) -> datetime:
        return until - timedelta(seconds=self._period)

    def _series(self, wanted: Sequence[_Series], start: int, end: int, period: int) -> _Read:
        by_id = {f"q{number}": one for number, one in enumerate(dict.fromkeys(wanted))}
        stats = {id_: _stat(one) for id_, one in by_id.items()}
        read = self._data.read(stats, start, end, period)
        return {one: read[id_] for id_, one in by_id.items()}


def _stat(series: _Series) -> MetricStat:
    dimensions = {
        "FunctionName": series.ref.function,
        "Resource": f"{series.ref.function}:{series.ref.alias}",
    }
    if series.version:
        dimensions["ExecutedVersion"] = series.version
    return MetricStat(
        namespace="AWS/Lambda",
        metric=series.metric,
        dimensions=dimensions,
        statistic=series.statistic,
    )


def _of_pair(pair: Pair, edges: Sequence[float], tolerance: float) -> Iterator[_Series]:
    for version, raised in ((pair.stable, 0.0), (pair.candidate, tolerance)):
        yield _Series(pair.ref, version, *_INVOCATIONS)
        yield _Series(pair.ref, version, *_ERRORS)
        if edges:
            yield _Series(pair.ref, version, *_DURATIONS)
        for edge in edges:
            yield _above(pair.ref, version, edge * (1 + raised))


def _above(ref: AliasRef, version: str, edge_ms: float) -> _Series:
    """The share of durations above an edge, in percent, by its percentile rank."""
    return _Series(ref, version, "Duration", f"PR({edge_ms:.3f}:)")


def _pair_bins(pair: Pair, edges: tuple[float, ...], tolerance: float, read: _Read) -> PairBins:
    def points(version: str, kind: tuple[str, str]) -> Points:
        return read[_Series(pair.ref, version, *kind)]

    def counts(version: str, start: int) -> Counts:
        return Counts(
            round(points(version, _INVOCATIONS).get(start, 0.0)),
            round(points(version, _ERRORS).get(start, 0.0)),
        )

    def slower(version: str, start: int, raised: float) -> Slower:
        measured = points(version, _DURATIONS).get(start, 0.0)
        shares = (read[_above(pair.ref, version, edge * (1 + raised))] for edge in edges)
        return Slower(
            round(measured),
            tuple(round(share.get(start, 0.0) / 100 * measured) for share in shares),
        )

    both = (pair.stable, pair.candidate)
    served = sorted({start for version in both for start in points(version, _INVOCATIONS)})
    measured = served if edges else []
    return PairBins(
        pair,
        bins=tuple(
            Bin(_moment(at), counts(pair.stable, at), counts(pair.candidate, at)) for at in served
        ),
        edges_ms=edges,
        latency=tuple(
            LatencyBin(
                _moment(at), slower(pair.stable, at, 0.0), slower(pair.candidate, at, tolerance)
            )
            for at in measured
        ),
    )


def _baseline(ref: AliasRef, read: _Read, seconds: int) -> Baseline:
    """The counts of all hours, and the percentiles of the busiest, for they cannot be combined."""
    invocations = read[_Series(ref, "", *_INVOCATIONS)]
    errors = read[_Series(ref, "", *_ERRORS)]
    if not invocations:
        return Baseline(seconds=seconds)
    busiest = max(invocations, key=lambda start: (invocations[start], start))
    percentiles = [read[_Series(ref, "", *edge)].get(busiest) for edge in _EDGES]
    return Baseline(
        served=Counts(round(sum(invocations.values())), round(sum(errors.values()))),
        seconds=seconds,
        edges_ms=tuple(sorted({edge for edge in percentiles if edge})),
    )


def _with_ids(expression: str, ids: Mapping[str, str]) -> str:
    """The expression with the ids that its metrics have in this call."""
    return re.sub(r"[a-z]\w*", lambda found: ids.get(found[0], found[0]), expression)


def _values(points: Points) -> tuple[MetricValue, ...]:
    return tuple(MetricValue(_moment(start), points[start]) for start in sorted(points))


def _moment(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def _chunks(values: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for begin in range(0, len(values), size):
        yield values[begin : begin + size]
