"""Metrics of the user by version: what to ask CloudWatch for, and what its answers make."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from tidegate.core.model.placeholders import physical_name
from tidegate.core.model.plan import ComparedPolicy, MetricQuery, MetricStat
from tidegate.core.ports import Bin, Compared, Counts, MetricSeries, PairBins

MOST_PAIRS = 100
"""Aliases times compared metrics that one evaluation may read, and its tick keep."""

Counted: TypeAlias = Mapping[datetime, int]
"""A count by the start of its period."""

_EVENTS, _TOTAL = "events", "total"
_NONE = Counts()


def queries_of(
    policy: ComparedPolicy, pairs: Sequence[PairBins], resources: Mapping[str, str]
) -> list[MetricQuery]:
    """The series of this metric for both versions of each pair that it counts."""
    stats = {_EVENTS: policy.events} | ({_TOTAL: policy.total} if policy.total else {})
    return [
        MetricQuery(
            name=_name(policy, what, pair, version),
            stats={"value": _of_version(stat, pair, version, resources)},
        )
        for pair in _counted(policy, pairs, resources)
        for version in (pair.pair.stable, pair.pair.candidate)
        for what, stat in stats.items()
    ]


def compared_of(
    policy: ComparedPolicy,
    pairs: Sequence[PairBins],
    resources: Mapping[str, str],
    series: Sequence[MetricSeries],
) -> Compared:
    """The metric, period by period, from the answers to its queries."""
    answers = {one.name: one for one in series}
    counted = _counted(policy, pairs, resources)
    return Compared(policy.name, tuple(_bins(policy, pair, answers) for pair in counted))


def _counted(
    policy: ComparedPolicy, pairs: Sequence[PairBins], resources: Mapping[str, str]
) -> Iterator[PairBins]:
    function = resources.get(policy.function, policy.function)
    return (pair for pair in pairs if function in {"", pair.pair.ref.function})


def _name(policy: ComparedPolicy, what: str, pair: PairBins, version: str) -> str:
    ref = pair.pair.ref
    return f"{what} of {policy.name}: {ref.function}:{ref.alias}, version {version}"


def _of_version(
    stat: MetricStat, pair: PairBins, version: str, resources: Mapping[str, str]
) -> MetricStat:
    ref = pair.pair.ref
    known = {"function": ref.function, "alias": ref.alias, "version": version}

    def filled(value: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: known[found[1]], physical_name(value, resources))

    dimensions = {name: filled(value) for name, value in stat.dimensions.items()}
    return stat.model_copy(update={"dimensions": dimensions})


def _bins(policy: ComparedPolicy, pair: PairBins, answers: Mapping[str, MetricSeries]) -> PairBins:
    """The counts of both versions. Periods without any are left out, as those without requests."""

    def read(what: str, version: str) -> Counted:
        values = answers[_name(policy, what, pair, version)].values
        return {one.start: round(one.value) for one in values}

    def counts(version: str, requests: Counted) -> Mapping[datetime, Counts]:
        total = read(_TOTAL, version) if policy.total else requests
        events = read(_EVENTS, version)
        return {at: Counts(total.get(at, 0), events.get(at, 0)) for at in {*total, *events}}

    of = pair.pair
    stable = counts(of.stable, {one.start: one.stable.invocations for one in pair.bins})
    candidate = counts(of.candidate, {one.start: one.candidate.invocations for one in pair.bins})
    return PairBins(
        of,
        bins=tuple(
            Bin(at, stable.get(at, _NONE), candidate.get(at, _NONE))
            for at in sorted({*stable, *candidate})
        ),
        period_seconds=pair.period_seconds,
    )
