"""Statistics over the points of one period, percentile ranks included."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import accumulate
from typing import Final

from ministack.services import cloudwatch

from tidegate_embedded.cloudwatch.store import Metric, Point, lock, samples

Series = Mapping[float, float]
"""Values by the start of their period (epoch), oldest first."""

_BASIC: Final = frozenset({"SampleCount", "Sum", "Average", "Minimum", "Maximum"})
_PERCENTILE: Final = re.compile(r"p(?P<percent>\d{1,2}(\.\d{1,10})?|100)", re.IGNORECASE)
_NUMBER: Final = r"-?\d+(?:\.\d+)?"
_RANK: Final = re.compile(rf"PR\((?P<low>{_NUMBER})?:(?P<high>{_NUMBER})?\)", re.IGNORECASE)


class InvalidStatisticError(Exception):
    """CloudWatch has no such statistic, or the embedded one does not know it."""


class Sample:
    """The values of one metric in one period."""

    def __init__(self, points: list[Point]) -> None:
        self._points = points

    @cached_property
    def basic(self) -> Mapping[str, float]:
        """The plain statistics."""
        found: Mapping[str, float] = cloudwatch._calc_stats(self._points)
        return found

    @property
    def unit(self) -> str:
        """The unit of the values."""
        return str(self._points[0]["Unit"])

    def percentile(self, percent: float) -> float | None:
        """The value below which `percent` of the values lie, between two ranks by their distance.

        Nothing if the values are not known one by one, or some are negative.
        """
        if not self._ordered:
            return None
        rank = percent / 100 * (self._cumulative[-1] - 1)
        low = self._at(int(rank))
        return low + (rank % 1) * (self._at(int(rank) + 1) - low)

    def percentile_rank(self, low: float | None, high: float | None) -> float | None:
        """The share of values above `low` up to and including `high`, in percent."""
        if not self._ordered:
            return None
        above = self._count_up_to(low) if low is not None else 0.0
        total = self._cumulative[-1]
        up_to = self._count_up_to(high) if high is not None else total
        return max(up_to - above, 0.0) / total * 100

    @cached_property
    def _ordered(self) -> list[tuple[float, float]]:
        return sorted(cloudwatch._percentile_samples(self._points) or ())

    @cached_property
    def _values(self) -> list[float]:
        return [value for value, _ in self._ordered]

    @cached_property
    def _cumulative(self) -> list[float]:
        return list(accumulate(count for _, count in self._ordered))

    def _at(self, rank: int) -> float:
        return self._values[min(bisect_right(self._cumulative, rank), len(self._values) - 1)]

    def _count_up_to(self, bound: float) -> float:
        index = bisect_right(self._values, bound)
        return self._cumulative[index - 1] if index else 0.0


def statistic(name: str) -> Callable[[Sample], float | None]:
    """What computes the statistic `name`, such as `Sum`, `p99.9` or `PR(100:250)`.

    Raises
    ------
    InvalidStatisticError
        It is none of those.
    """
    if name in _BASIC:
        return lambda sample: sample.basic.get(name)
    if match := _PERCENTILE.fullmatch(name):
        percent = float(match["percent"])
        return lambda sample: sample.percentile(percent)
    if (match := _RANK.fullmatch(name)) and (match["low"] or match["high"]):
        low, high = (float(bound) if bound else None for bound in match.group("low", "high"))
        return lambda sample: sample.percentile_rank(low, high)
    raise InvalidStatisticError(
        f"The value {name} for parameter Stat is not supported: use one of "
        f"{', '.join(sorted(_BASIC))}, pNN, PR(low:high)"
    )


class Reader:
    """Reads metrics over one span of time; what several queries share is read once."""

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end
        self._read: dict[tuple[Metric, int], Mapping[float, Sample]] = {}

    def series(self, metric: Metric, stat: str, period: int) -> Series:
        """One value for each period that begins in the span and has data."""
        compute = statistic(stat)
        computed = ((at, compute(sample)) for at, sample in self.samples(metric, period).items())
        return {at: value for at, value in computed if value is not None}

    def samples(self, metric: Metric, period: int) -> Mapping[float, Sample]:
        """The values of each period, oldest first."""
        key = metric, period
        if key not in self._read:
            with lock:
                self._read[key] = self._group(metric, period)
        return self._read[key]

    def periods(self, period: int) -> Iterable[float]:
        """The starts of all periods in the span."""
        first = self.start // period * period
        count = int((self.end - first + period - 1) // period)
        return (first + number * period for number in range(count))

    def _group(self, metric: Metric, period: int) -> Mapping[float, Sample]:
        first = self.start // period * period
        beyond = -(-self.end // period) * period
        groups: dict[float, list[Point]] = {}
        for at, point in samples(metric, first, beyond):
            groups.setdefault(at // period * period, []).append(point.copy())
        return {at: Sample(groups[at]) for at in sorted(groups)}
