"""CloudWatch in memory: requests, durations, metrics and alarms as a test scripts them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean
from typing import NamedTuple

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

_PERCENTILES = (0.5, 0.75, 0.9, 0.95, 0.99)
_MINUTE = timedelta(minutes=1)
_STATISTICS: Mapping[str, Callable[[list[float]], float]] = {
    "Sum": math.fsum,
    "SampleCount": len,
    "Maximum": max,
    "Minimum": min,
    "Average": fmean,
}


@dataclass(frozen=True)
class _Served:
    """Requests of one version at one time."""

    at: datetime
    function: str
    version: str
    counts: Counts
    durations_ms: tuple[float, ...]


class _Metric(NamedTuple):
    """What CloudWatch tells metrics apart by."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, stat: MetricStat) -> _Metric:
        return cls(stat.namespace, stat.metric, frozenset(stat.dimensions.items()))


class MemoryMetrics:
    """Periods of a minute, complete as soon as they have closed."""

    def __init__(self) -> None:
        self._served: list[_Served] = []
        self._published: list[tuple[datetime, _Metric, float]] = []
        self.values: dict[str, list[MetricValue]] = {}  # instead, by a name of the manifest
        self.alarms: dict[str, bool] = {}  # name -> firing

    def record(  # noqa: PLR0917  # reads as a row of a table
        self,
        function: str,
        version: str,
        at: datetime,
        invocations: int,
        errors: int = 0,
        durations_ms: Iterable[float] = (),
    ) -> None:
        """Let a version have served requests at this time."""
        served = Counts(invocations, errors)
        self._served.append(_Served(at, function, version, served, tuple(durations_ms)))

    def publish(
        self, namespace: str, metric: str, at: datetime, value: float, **dimensions: str
    ) -> None:
        """Let an application have published a value of a metric of its own."""
        self._published.append(
            (at, _Metric(namespace, metric, frozenset(dimensions.items())), value)
        )

    def bins(
        self,
        pairs: Sequence[Pair],
        since: datetime,
        until: datetime,
        edges_ms: Sequence[Sequence[float]] = (),
        tolerance: float = 0.0,
    ) -> list[PairBins]:
        """What was recorded in the minutes that are complete, that of ``since`` and later."""
        edges = [tuple(some) for some in edges_ms] or [()] * len(pairs)
        both = zip(pairs, edges, strict=True)
        return [self._pair(pair, some, tolerance, since, until) for pair, some in both]

    def baselines(
        self, refs: Sequence[AliasRef], since: datetime, until: datetime
    ) -> list[Baseline]:
        """What was recorded of each function within [since, until)."""
        seconds = (until - since).total_seconds()
        return [self._baseline(ref, since, until, seconds) for ref in refs]

    def series(
        self, queries: Sequence[MetricQuery], since: datetime, until: datetime
    ) -> list[MetricSeries]:
        """What was published of each metric, or what a test gave it; no metric math."""
        return [MetricSeries(one.name, tuple(self._values(one, since, until))) for one in queries]

    def firing(self, alarms: Sequence[str]) -> list[str]:
        """The alarms among these that fire."""
        for alarm in alarms:
            if alarm not in self.alarms:
                raise NotFound(f"There is no alarm {alarm}.")
        return [alarm for alarm in alarms if self.alarms[alarm]]

    def _values(
        self, query: MetricQuery, since: datetime, until: datetime
    ) -> Iterable[MetricValue]:
        if query.name in self.values or query.expression:
            given = self.values.get(query.name, ())
            return (one for one in given if _is_complete(one.start, since, until))
        (stat,) = query.stats.values()
        minutes = defaultdict[datetime, list[float]](list)
        for at, metric, value in self._published:
            if metric == _Metric.of(stat) and _is_complete(_minute(at), since, until):
                minutes[_minute(at)].append(value)
        statistic = _STATISTICS[stat.statistic]
        return (MetricValue(start, statistic(minutes[start])) for start in sorted(minutes))

    def _pair(
        self,
        pair: Pair,
        edges: tuple[float, ...],
        tolerance: float,
        since: datetime,
        until: datetime,
    ) -> PairBins:
        raised = tuple(edge * (1 + tolerance) for edge in edges)
        stable = self._by_minute(pair.ref.function, pair.stable, since, until)
        candidate = self._by_minute(pair.ref.function, pair.candidate, since, until)
        minutes = sorted({*stable, *candidate})
        return PairBins(
            pair,
            bins=tuple(Bin(at, _sum(stable[at]), _sum(candidate[at])) for at in minutes),
            edges_ms=edges,
            latency=tuple(
                LatencyBin(at, _slower(stable[at], edges), _slower(candidate[at], raised))
                for at in minutes
                if edges
            ),
        )

    def _by_minute(
        self, function: str, version: str, since: datetime, until: datetime
    ) -> defaultdict[datetime, list[_Served]]:
        minutes = defaultdict[datetime, list[_Served]](list)
        for served in self._served:
            start = _minute(served.at)
            mine = served.function == function and served.version == version
            if mine and _is_complete(start, since, until):
                minutes[start].append(served)
        return minutes

    def _baseline(
        self, ref: AliasRef, since: datetime, until: datetime, seconds: float
    ) -> Baseline:
        served = [s for s in self._served if s.function == ref.function and since <= s.at < until]
        durations = sorted(ms for one in served for ms in one.durations_ms)
        edges = {durations[math.ceil(p * len(durations)) - 1] for p in _PERCENTILES if durations}
        return Baseline(_sum(served), seconds, tuple(sorted(edges)))


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _is_complete(start: datetime, since: datetime, until: datetime) -> bool:
    """A minute that had not ended by ``since``, and has by ``until``."""
    return since - _MINUTE < start and start + _MINUTE <= until


def _sum(served: Iterable[_Served]) -> Counts:
    return sum((one.counts for one in served), Counts())


def _slower(served: Sequence[_Served], edges: Sequence[float]) -> Slower:
    durations = [ms for one in served for ms in one.durations_ms]
    return Slower(len(durations), tuple(sum(ms > edge for ms in durations) for edge in edges))
