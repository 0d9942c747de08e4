"""Metrics in ministack's store: values of one second are kept once, with their count.

A load test makes millions of samples; as histograms per second they stay a few thousand points.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import floor
from typing import Any, Final

from ministack.services import cloudwatch

Point = dict[str, Any]

RETENTION_SECONDS: Final = 15 * 24 * 3600.0
_RECENT_POINTS: Final = 4096

lock: Final = threading.RLock()
"""Held by whoever changes the points of a metric or reads them."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What CloudWatch calls a metric: one series of values, in one account and region."""

    account: str
    region: str
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    """Sorted by name."""

    @classmethod
    def of(
        cls, account: str, region: str, namespace: str, name: str, dimensions: Mapping[str, str]
    ) -> "Metric":
        """The metric with these dimensions, exactly."""
        return cls(account, region, namespace, name, tuple(sorted(dimensions.items())))

    @property
    def key(self) -> tuple[str, str, str]:
        """Its key in ministack's store."""
        return self.namespace, self.name, cloudwatch._dims_key(dict(self.dimensions))


class _Series:
    """The points of one metric, and those of them that the next sample may add to."""

    def __init__(self, points: list[Point]) -> None:
        self.points = points
        self.recent: dict[tuple[int, float], Point] = {}


class Recorder:
    """Adds samples to metrics, cheaply."""

    def __init__(self) -> None:
        self._series: dict[Metric, _Series] = {}

    def add(self, metric: Metric, value: float, unit: str, at: float) -> None:
        """Count one sample, with three significant digits, at the second of `at` (epoch)."""
        sample = floor(at), float(f"{value:.3g}")
        with lock:
            series = self._writable(metric)
            point = series.recent.get(sample)
            if point is None:
                if len(series.recent) >= _RECENT_POINTS:
                    series.recent.clear()
                point = series.recent[sample] = _point(metric, sample, unit)
                series.points.append(point)
            point["Count"] += 1.0

    def _writable(self, metric: Metric) -> _Series:
        series = self._series.get(metric)
        points = cloudwatch._metrics.get_scoped(metric.account, metric.region, metric.key)
        if series is None or series.points is not points:
            if points is None:
                points = []
                cloudwatch._metrics.set_scoped(metric.account, metric.region, metric.key, points)
            series = self._series[metric] = _Series(points)
        return series


def _point(metric: Metric, sample: tuple[int, float], unit: str) -> Point:
    second, value = sample
    return {
        "Timestamp": float(second),
        "Value": value,
        "Count": 0.0,
        "Unit": unit,
        "Dimensions": dict(metric.dimensions),
    }


def samples(metric: Metric, start: float, end: float) -> Iterator[tuple[float, Point]]:
    """The points from `start` up to, but not including, `end`, each with its time; hold `lock`."""
    points = cloudwatch._metrics.get_scoped(metric.account, metric.region, metric.key) or ()
    for point in points:
        at = point["Timestamp"]
        if start <= at < end:
            yield at, point


def forget_before(cutoff: float) -> None:
    """Drop the points that are older than `cutoff` (epoch), in every account."""
    with lock:
        for scope, points in cloudwatch._metrics.all_items():
            points[:] = [point for point in points if point["Timestamp"] >= cutoff]
            if not points:
                cloudwatch._metrics.pop_scoped(*scope, None)
