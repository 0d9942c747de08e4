"""CloudWatch in memory: requests, durations, metrics and alarms as a test scripts them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tidegate.core.errors import NotFound
from tidegate.core.plan import MetricQuery
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


@dataclass(frozen=True)
class _Served:
    """Requests of one version at one time."""

    at: datetime
    function: str
    version: str
    counts: Counts
    durations_ms: tuple[float, ...]


class MemoryMetrics:
    """Periods of a minute, complete as soon as they have closed."""

    def __init__(self) -> None:
        self._served: list[_Served] = []
        self.values: dict[str, list[MetricValue]] = defaultdict(list)  # by the metric's name
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
        """The values that a test gave each metric."""
        return [
            MetricSeries(
                query.name, tuple(v for v in self.values[query.name] if since <= v.start < until)
            )
            for query in queries
        ]

    def firing(self, alarms: Sequence[str]) -> list[str]:
        """The alarms among these that fire."""
        for alarm in alarms:
            if alarm not in self.alarms:
                raise NotFound(f"There is no alarm {alarm}.")
        return [alarm for alarm in alarms if self.alarms[alarm]]

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
        minute = timedelta(minutes=1)
        for served in self._served:
            start = served.at.replace(second=0, microsecond=0)
            mine = served.function == function and served.version == version
            if mine and since - minute < start and start + minute <= until:
                minutes[start].append(served)
        return minutes

    def _baseline(
        self, ref: AliasRef, since: datetime, until: datetime, seconds: float
    ) -> Baseline:
        served = [s for s in self._served if s.function == ref.function and since <= s.at < until]
        durations = sorted(ms for one in served for ms in one.durations_ms)
        edges = {durations[math.ceil(p * len(durations)) - 1] for p in _PERCENTILES if durations}
        return Baseline(_sum(served), seconds, tuple(sorted(edges)))


def _sum(served: Iterable[_Served]) -> Counts:
    return sum((one.counts for one in served), Counts())


def _slower(served: Sequence[_Served], edges: Sequence[float]) -> Slower:
    durations = [ms for one in served for ms in one.durations_ms]
    return Slower(len(durations), tuple(sum(ms > edge for ms in durations) for edge in edges))
