"""What ticks keep of what was seen, and the evaluations of a rollout put together from it.

A tick keeps the periods that are new since the tick before, and those shortly before them, which
CloudWatch may have corrected since. The latest of what ticks say of a period counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, TypeVar

from tidegate.core.decision.evaluation import ACTION_NAMES, Evaluation
from tidegate.core.decision.next_move import SetWeight
from tidegate.core.model.record import (
    ComparedSeen,
    MetricSeen,
    OperatorRequest,
    PairSeen,
    RequestSeen,
    Rollout,
    RolloutPhase,
    Seen,
    ServedBefore,
    Shift,
    Tick,
)
from tidegate.core.ports import (
    AliasRef,
    Bin,
    Compared,
    Counts,
    LatencyBin,
    MetricSeries,
    MetricValue,
    Observation,
    Pair,
    PairBins,
    Slower,
)

_Period = TypeVar("_Period")
_Key: TypeAlias = tuple[str, str, str]  # what is counted, of which function and alias
_REQUESTS = ""  # counted by Lambda; anything else is a metric's name

CORRECTED = timedelta(minutes=10)  # so long a published period may still change


def evidence_of(evaluation: Evaluation) -> Seen:
    """What the evaluation's tick keeps."""
    before = evaluation.rollout
    since = datetime.min.replace(tzinfo=UTC)
    if before.looked_at is not None:
        since = before.looked_at - CORRECTED
    return Seen(
        weight=before.weight,
        step=before.step,
        step_started_at=before.step_started_at,
        step_began_with=before.step_began_with,
        period_seconds=int(evaluation.observation.period.total_seconds()),
        pairs=tuple(_pair_seen(pair, since) for pair in evaluation.observation.pairs),
        metrics=tuple(_metric_seen(series, since) for series in evaluation.observation.metrics),
        compared=tuple(_compared_seen(one, since) for one in evaluation.observation.compared),
        firing=evaluation.observation.firing,
        operator_requests=tuple(_request_seen(request) for request in evaluation.operator_requests),
    )


def evidence_of_restore(evaluation: Evaluation, last: Tick) -> Seen | None:
    """What is kept of a decision between two evaluations: the last one's data, and the news since.

    None when the last evaluation has kept nothing: it was one of an earlier version of Tidegate.
    """
    if last.seen is None:
        return None
    return evidence_of(evaluation).model_copy(
        update={
            "period_seconds": last.seen.period_seconds,
            "metrics": tuple(MetricSeen(name=metric.name) for metric in last.seen.metrics),
            "as_of": last.at,
        }
    )


def recorded_evaluations(
    rollout: Rollout, ticks: Sequence[Tick]
) -> Iterator[tuple[Tick, Evaluation | None]]:
    """Each tick with its evaluation; ``rollout`` is the record as it stands, ``ticks`` in order.

    None from the first tick on that kept nothing: one of an earlier version of Tidegate.
    """
    known = _Known()
    complete, moves = True, 0
    for tick in ticks:
        complete = complete and tick.seen is not None
        if tick.seen is None or not complete:
            yield tick, None
            continue
        known.add(tick.seen)
        moved_at = rollout.moved_at[:moves]  # a person's move may come at the moment of another
        moves += tick.action == ACTION_NAMES[SetWeight]
        yield tick, _evaluation(rollout, tick, tick.seen, known, moved_at)


def probe_bins(rollout: Rollout, until: datetime) -> tuple[PairBins, ...]:
    """The probes that were sent before, as the requests of a pair of their own."""
    return tuple(
        PairBins(
            pair=Pair(AliasRef(shift.function, "probes"), shift.stable, shift.candidate),
            bins=tuple(
                Bin(
                    start=one.at,
                    stable=Counts(one.sent, one.stable_errors),
                    candidate=Counts(one.sent, one.candidate_errors),
                )
                for one in rollout.probes
                if one.function == shift.function and one.at < until and one.sent
            ),
        )
        for shift in rollout.shifts
        if rollout.probes
    )


@dataclass
class _Known:
    """The periods that ticks so far have told of."""

    bins: dict[_Key, dict[int, Bin]] = field(default_factory=dict)
    latency: dict[_Key, dict[int, LatencyBin]] = field(default_factory=dict)
    metrics: dict[str, dict[int, MetricValue]] = field(default_factory=dict)

    def add(self, seen: Seen) -> None:
        for pair in seen.pairs:
            self._add_bins(_REQUESTS, pair)
            latency = self.latency.setdefault((_REQUESTS, pair.function, pair.alias), {})
            for start, stable, candidate in pair.latency:
                latency[start] = LatencyBin(_moment(start), _slower(stable), _slower(candidate))
        for metric in seen.metrics:
            values = self.metrics.setdefault(metric.name, {})
            values.update((start, MetricValue(_moment(start), v)) for start, v in metric.values)
        for compared in seen.compared:
            for pair in compared.pairs:
                self._add_bins(compared.name, pair)

    def _add_bins(self, of: str, pair: PairSeen) -> None:
        bins = self.bins.setdefault((of, pair.function, pair.alias), {})
        for start, *counts in pair.bins:
            bins[start] = Bin(_moment(start), Counts(*counts[:2]), Counts(*counts[2:]))

    def compared(self, seen: ComparedSeen, period_seconds: int) -> Compared:
        return Compared(
            seen.name,
            tuple(
                PairBins(
                    Pair(AliasRef(one.function, one.alias), one.stable, one.candidate),
                    bins=_in_order(self.bins[seen.name, one.function, one.alias]),
                    period_seconds=period_seconds,
                )
                for one in seen.pairs
            ),
        )

    def pair(self, shift: Shift, before: ServedBefore, period_seconds: int) -> PairBins:
        key = (_REQUESTS, shift.function, shift.alias)
        latency = _in_order(self.latency.get(key, {}))
        return PairBins(
            pair=Pair(AliasRef(shift.function, shift.alias), shift.stable, shift.candidate),
            bins=_in_order(self.bins.get(key, {})),
            period_seconds=period_seconds,
            before=Counts(before.invocations, before.errors),
            edges_ms=before.edges_ms if latency else (),
            latency=latency,
        )


def _evaluation(
    rollout: Rollout, tick: Tick, seen: Seen, known: _Known, moved_at: tuple[datetime, ...]
) -> Evaluation:
    as_it_was = {
        "weight": seen.weight,
        "step": seen.step,
        "step_started_at": seen.step_started_at,
        "step_began_with": seen.step_began_with,
        "moved_at": moved_at,
        "shifting_since": moved_at[0] if moved_at else None,
        "phase": RolloutPhase.SHIFTING,
        "error": "",
        "cause": "",
    }
    before = rollout.before or (ServedBefore(),) * len(rollout.shifts)
    return Evaluation(
        rollout=rollout.model_copy(update=as_it_was),
        observation=Observation(
            pairs=tuple(
                known.pair(shift, served, seen.period_seconds)
                for shift, served in zip(rollout.shifts, before, strict=True)
            ),
            metrics=tuple(
                MetricSeries(
                    metric.name,
                    _in_order(known.metrics[metric.name]),
                    rollout.metrics_before.get(metric.name),
                )
                for metric in seen.metrics
            ),
            compared=tuple(known.compared(one, seen.period_seconds) for one in seen.compared),
            probes=probe_bins(rollout, seen.as_of or tick.at),
            firing=seen.firing,
            baseline=rollout.baseline_alarms,
            moved_at=moved_at,
            requests_per_second=sum(one.requests_per_second for one in before),
        ),
        operator_requests=[
            OperatorRequest(release_id=tick.release_id, at=tick.at, **request.model_dump())
            for request in seen.operator_requests
        ],
        now=tick.at,
    )


def _pair_seen(pair: PairBins, since: datetime) -> PairSeen:
    return PairSeen(
        function=pair.pair.ref.function,
        alias=pair.pair.ref.alias,
        stable=pair.pair.stable,
        candidate=pair.pair.candidate,
        bins=tuple(
            (
                int(one.start.timestamp()),
                one.stable.invocations,
                one.stable.errors,
                one.candidate.invocations,
                one.candidate.errors,
            )
            for one in pair.bins
            if one.start >= since
        ),
        latency=tuple(
            (
                int(one.start.timestamp()),
                (one.stable.invocations, *one.stable.slower),
                (one.candidate.invocations, *one.candidate.slower),
            )
            for one in pair.latency
            if one.start >= since
        ),
    )


def _metric_seen(series: MetricSeries, since: datetime) -> MetricSeen:
    return MetricSeen(
        name=series.name,
        values=tuple(
            (int(one.start.timestamp()), one.value) for one in series.values if one.start >= since
        ),
    )


def _compared_seen(compared: Compared, since: datetime) -> ComparedSeen:
    return ComparedSeen(
        name=compared.name, pairs=tuple(_pair_seen(pair, since) for pair in compared.pairs)
    )


def _request_seen(request: OperatorRequest) -> RequestSeen:
    return RequestSeen(
        verb=request.verb, who=request.who, reason=request.reason, weight=request.weight
    )


def _in_order(periods: Mapping[int, _Period]) -> tuple[_Period, ...]:
    return tuple(periods[start] for start in sorted(periods))


def _slower(counts: Sequence[int]) -> Slower:
    return Slower(counts[0], tuple(counts[1:]))


def _moment(start: int) -> datetime:
    return datetime.fromtimestamp(start, UTC)
