"""What is seen of a target: requests and errors by version, metrics of the user, alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from tidegate.core.model.plan import MetricQuery
from tidegate.core.ports.traffic import AliasRef


@dataclass(frozen=True, slots=True)
class Pair:
    """An alias with the two versions that are compared."""

    ref: AliasRef
    stable: str
    candidate: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of one version in the window."""

    invocations: int = 0
    errors: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.invocations + other.invocations, self.errors + other.errors)


@dataclass(frozen=True, slots=True)
class Bin:
    """What both versions served in one period, usually a minute that is complete."""

    start: datetime
    stable: Counts
    candidate: Counts


@dataclass(frozen=True, slots=True)
class Slower:
    """How many of a version's requests took longer than each edge, in one period."""

    invocations: int
    slower: tuple[int, ...]  # one count per edge, in the order of the edges


@dataclass(frozen=True, slots=True)
class LatencyBin:
    """The durations of both versions in one period, as exceedances of the pair's edges."""

    start: datetime
    stable: Slower
    candidate: Slower  # counted at edges that are higher by the tolerance


@dataclass(frozen=True, slots=True)
class PairBins:
    """What the metrics say of one pair, period by period. Periods without requests are left out."""

    pair: Pair
    bins: tuple[Bin, ...] = ()
    period_seconds: int = 60  # the length of a bin
    before: Counts = Counts()  # what the alias served before the shift
    edges_ms: tuple[float, ...] = ()  # none: durations were not asked for, or cannot be compared
    latency: tuple[LatencyBin, ...] = ()


@dataclass(frozen=True, slots=True)
class Baseline:
    """What an alias served before the shift began."""

    served: Counts = Counts()
    seconds: float = 0.0  # that the counts cover
    edges_ms: tuple[float, ...] = ()  # percentiles of the durations, lowest first; none: no data


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A metric of the user in one period, summed over it, or as its statistic says."""

    start: datetime
    value: float


@dataclass(frozen=True, slots=True)
class MetricSeries:
    """A metric of the manifest, by its name, and its complete periods."""

    name: str
    values: tuple[MetricValue, ...] = ()
    before: float | None = None  # the highest in the hour before the shift, where it is asked for


@dataclass(frozen=True, slots=True)
class Compared:
    """A metric of the manifest by version: its total as invocations, its events as errors."""

    name: str
    pairs: tuple[PairBins, ...] = ()  # none: the function whose versions it counts does not shift


@dataclass(frozen=True, slots=True)
class Observation:
    """All that one evaluation of a rollout saw: what ``judge`` judges."""

    pairs: tuple[PairBins, ...] = ()
    metrics: tuple[MetricSeries, ...] = ()
    compared: tuple[Compared, ...] = ()
    probes: tuple[PairBins, ...] = ()  # what Tidegate itself asked of both versions
    firing: tuple[str, ...] = ()  # the alarms that fire now
    baseline: tuple[str, ...] = ()  # those that fired before the candidate had any traffic
    moved_at: tuple[datetime, ...] = ()  # when the weight changed, the first time first
    requests_per_second: float = 0.0  # of the aliases, before the shift began

    @property
    def period(self) -> timedelta:
        """The length of a bin."""
        return timedelta(seconds=self.pairs[0].period_seconds if self.pairs else 60)


class Metrics(Protocol):
    """Lambda's metrics and CloudWatch's alarms in one account and region."""

    def bins(
        self,
        pairs: Sequence[Pair],
        since: datetime,
        until: datetime,
        edges_ms: Sequence[Sequence[float]] = (),
        tolerance: float = 0.0,
    ) -> list[PairBins]:
        """The periods that are complete, oldest first, from the one in which ``since`` lies.

        That first one is mixed: for a part of it the candidate had no traffic yet. Durations come
        where there are edges.
        ``edges_ms`` has one tuple per pair, or is empty. The candidate's edges are higher by the
        share ``tolerance``.
        """

    def baselines(
        self, refs: Sequence[AliasRef], since: datetime, until: datetime
    ) -> list[Baseline]:
        """What each alias served from about ``since`` to ``until``, whatever its versions were."""

    def series(
        self, queries: Sequence[MetricQuery], since: datetime, until: datetime
    ) -> list[MetricSeries]:
        """The same periods of the user's metrics. Raises ``ServiceRefused`` for a bad one."""

    def firing(self, alarms: Sequence[str]) -> list[str]:
        """The alarms among these that are in ALARM. Raises ``NotFound`` for an unknown one."""


class Signals(Protocol):
    """Whether alarms and metrics tell anything at all, in one account and region."""

    def alarms(self, names: Sequence[str]) -> dict[str, str]:
        """CloudWatch's word for each alarm: OK, ALARM, INSUFFICIENT_DATA; missing ones are out."""

    def requests(self, ref: AliasRef, version: str, since: datetime, until: datetime) -> int:
        """How often the alias sent a request to this version."""
