"""The traffic's part of a rollout: one evaluation, one decision, one weight on every alias."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import NoReturn, TypedDict

from tidegate.core.analysis.queries import compared_of, queries_of
from tidegate.core.decision.evaluation import ACTION_NAMES, Evaluation, evaluate, moved, policy_of
from tidegate.core.decision.evidence_history import evidence_of, probe_bins
from tidegate.core.decision.next_move import LASTING, Action, Hold, Promote, Restore, SetWeight
from tidegate.core.errors import Aborted, Unhealthy
from tidegate.core.model.placeholders import physical_name
from tidegate.core.model.plan import MetricQuery
from tidegate.core.model.record import (
    Call,
    OperatorRequest,
    Rollout,
    RolloutPhase,
    Seen,
    ServedBefore,
    Tick,
    Verdict,
)
from tidegate.core.ports import Compared, Counts, MetricSeries, Observation, Pair, PairBins, Ports
from tidegate.core.workflow.rollout.probe import send_probes
from tidegate.core.workflow.rollout.warm import give_up_alias
from tidegate.core.workflow.target.alarms import alarm_names, refuse_firing
from tidegate.core.workflow.target.context import (
    RolloutContext,
    RolloutRef,
    check_fence,
    open_context,
    refuse_changes_by_others,
)
from tidegate.core.workflow.target.routing import alias_of, apply_weight, changed_by_others
from tidegate.core.workflow.task_tokens import answer_bake, bake_purpose, keep_token, received_by

_ENDS = {error.__name__: error for error in (Aborted, Unhealthy)}
_TOKEN_LIFE = timedelta(days=1)
_BASELINE = timedelta(hours=1)  # how far back the traffic before the shift is looked at


class TickResult(TypedDict):
    """Whether the candidates have all traffic; if not, the seconds until the next evaluation."""

    promoted: bool
    bake_seconds: int


def tick(ports: Ports, ref: RolloutRef) -> TickResult:
    """Bring every alias to the recorded weight, look, decide, and carry the decision out.

    What is decided is recorded before an alias is written, so a tick that was cut short is
    completed by the next one.
    Raises ``Unhealthy``, ``Aborted``, ``AlarmsFiring``, ``AliasChangedByOthers``,
    ``AliasConflict``, ``LockLost``.
    """
    context = open_context(ports, ref)
    rollout = context.require_rollout()
    check_fence(context, rollout)
    if rollout.error:
        _end(rollout)
    if rollout.phase is RolloutPhase.VALIDATING:
        rollout = _begin_shifting(context, rollout)
    rollout = _carry_out(context, rollout)
    if rollout.phase is not RolloutPhase.SHIFTING:
        return TickResult(promoted=True, bake_seconds=0)
    return _advance(context, rollout)


def bake(ports: Ports, ref: RolloutRef, token: str) -> None:
    """Keep the token while the bake lasts, for an operator request or an alarm to end it early."""
    until = ports.clock.now() + _TOKEN_LIFE
    purpose = bake_purpose(ref.stage, ref.target)
    answer_bake(ports, keep_token(ports, ref.release.id, purpose, token, until))


def _begin_shifting(context: RolloutContext, rollout: Rollout) -> Rollout:
    """Remember how the world was before; with nothing to shift, the candidates serve by now.

    Raises ``AlarmsFiring`` when the manifest does not want to begin so.
    """
    alarms, ref = _alarms(context), context.ref
    firing = tuple(context.world.metrics.firing(alarms) if alarms else ())
    if rollout.shifts:
        refuse_firing(context.stage, ref.target, firing)
    received = received_by(context.ports, ref.release.id, ref.stage, ref.target)
    return context.save(
        _mark_received(rollout, received),
        phase=RolloutPhase.SHIFTING if rollout.shifts else RolloutPhase.VERIFYING,
        alarms=alarms,
        baseline_alarms=firing,
        before=_before(context, rollout),
        metrics_before=_metrics_before(context, rollout),
    )


def _before(context: RolloutContext, rollout: Rollout) -> tuple[ServedBefore, ...]:
    """What the aliases that will shift served in the last hour."""
    if not rollout.shifts:
        return ()
    now = context.ports.clock.now()
    refs = [alias_of(shift) for shift in rollout.shifts]
    return tuple(
        ServedBefore(
            invocations=one.served.invocations,
            errors=one.served.errors,
            seconds=one.seconds,
            edges_ms=one.edges_ms,
        )
        for one in context.world.metrics.baselines(refs, now - _BASELINE, now)
    )


def _metrics_before(context: RolloutContext, rollout: Rollout) -> dict[str, float]:
    """The highest value in the last hour of each metric that may reach it again."""
    names = {one.query.name for one in context.stage.checks.metrics if one.or_before}
    if not names or not rollout.shifts:
        return {}
    now = context.ports.clock.now()
    asked = [one for one in _queries(context, context.state().resources) if one.name in names]
    found = context.world.metrics.series(asked, now - _BASELINE, now)
    return {one.name: max(each.value for each in one.values) for one in found if one.values}


def _carry_out(context: RolloutContext, rollout: Rollout) -> Rollout:
    """Complete the recorded move: all aliases are looked at before the first is written."""
    aliases = context.world.aliases
    possible = (rollout.left_weight, rollout.weight)
    refuse_changes_by_others(context, rollout, changed_by_others(aliases, rollout.shifts, possible))
    there = []
    for shift in rollout.shifts:
        if rollout.weight >= 1.0 and rollout.left_weight < 1.0:
            give_up_alias(context, rollout, shift)
        revision = apply_weight(
            aliases, shift, rollout.weight, partial(check_fence, context, rollout)
        )
        there.append(shift.model_copy(update={"revision": revision}))
    if rollout.left_weight == rollout.weight and not rollout.changed_by_others:
        return rollout
    settled = context.note(
        rollout, left_weight=rollout.weight, changed_by_others="", shifts=tuple(there)
    )
    context.tell(settled)
    return settled


def _advance(context: RolloutContext, rollout: Rollout) -> TickResult:
    evaluation = _evaluation(context, rollout)
    verdict, action = evaluate(policy_of(context.stage, rollout), evaluation)
    rollout = _record(context, evaluation, verdict, action)
    if isinstance(action, Restore):
        _end(rollout)
    if not isinstance(action, Hold):  # which leaves every alias where it was found just now
        _carry_out(context, rollout)
    elif action.probe and context.stage.checks.errors.probe:
        send_probes(context, rollout, context.stage.checks.errors.probe)
    if isinstance(action, Promote):
        return TickResult(promoted=True, bake_seconds=0)
    return TickResult(promoted=False, bake_seconds=_next_evaluation(context.ports, action))


def _evaluation(context: RolloutContext, rollout: Rollout) -> Evaluation:
    """What metrics and alarms say since the candidates first had a weight, and what people want."""
    now, ref = context.ports.clock.now(), context.ref
    received = received_by(context.ports, ref.release.id, ref.stage, ref.target)
    return Evaluation(
        rollout=_mark_received(rollout, received),
        observation=_observe(context, rollout, now),
        operator_requests=pending_requests(received, rollout.heard),
        now=now,
    )


def _observe(context: RolloutContext, rollout: Rollout, now: datetime) -> Observation:
    checks, metrics = context.stage.checks, context.world.metrics
    before, since = rollout.before, rollout.shifting_since or now
    edges = [one.edges_ms for one in before] if checks.latency else []
    tolerance = checks.latency.tolerance if checks.latency else 0.0
    pairs = [Pair(alias_of(s), s.stable, s.candidate) for s in rollout.shifts]
    seen = metrics.bins(pairs, since, now, edges, tolerance)
    known = [Counts(one.invocations, one.errors) for one in before] or [Counts()] * len(seen)
    own, compared = _own_metrics(context, rollout, seen, now)
    return Observation(
        pairs=tuple(replace(one, before=was) for one, was in zip(seen, known, strict=True)),
        metrics=own,
        compared=compared,
        probes=probe_bins(rollout, now),
        firing=tuple(metrics.firing(rollout.alarms)) if rollout.alarms else (),
        baseline=rollout.baseline_alarms,
        moved_at=rollout.moved_at,
        requests_per_second=sum(one.requests_per_second for one in before),
    )


def _own_metrics(
    context: RolloutContext, rollout: Rollout, pairs: Sequence[PairBins], now: datetime
) -> tuple[tuple[MetricSeries, ...], tuple[Compared, ...]]:
    """The stage's metrics, with bounds and by version, in one reading."""
    checks, since = context.stage.checks, rollout.shifting_since or now
    if not checks.metrics and not checks.compared:
        return (), ()
    resources = context.state().resources
    bounded = _queries(context, resources)
    by_version = [query for one in checks.compared for query in queries_of(one, pairs, resources)]
    series = context.world.metrics.series([*bounded, *by_version], since, now)
    compared = (compared_of(one, pairs, resources, series) for one in checks.compared)
    before = rollout.metrics_before
    own = (replace(one, before=before.get(one.name)) for one in series[: len(bounded)])
    return tuple(own), tuple(compared)


def _queries(context: RolloutContext, resources: Mapping[str, str]) -> list[MetricQuery]:
    """The metrics with bounds; a dimension may name a resource by its logical id."""

    def physical(query: MetricQuery) -> MetricQuery:
        stats = {
            id_: stat.model_copy(
                update={
                    "dimensions": {
                        name: physical_name(value, resources)
                        for name, value in stat.dimensions.items()
                    }
                }
            )
            for id_, stat in query.stats.items()
        }
        return query.model_copy(update={"stats": stats})

    return [physical(policy.query) for policy in context.stage.checks.metrics]


def _alarms(context: RolloutContext) -> tuple[str, ...]:
    return alarm_names(context.stage, context.state()) if context.stage.checks.alarms else ()


def pending_requests(
    received: Iterable[OperatorRequest | Call], heard: Iterable[str]
) -> list[OperatorRequest]:
    """Requests that last until they are withdrawn, and others that are new to the rollout."""
    known = set(heard)
    return [
        request
        for request in received
        if isinstance(request, OperatorRequest)
        and request.active
        and (request.verb in LASTING or request.mark not in known)
    ]


def _mark_received(rollout: Rollout, received: Iterable[OperatorRequest | Call]) -> Rollout:
    return rollout.model_copy(update={"heard": tuple(item.mark for item in received)})


def _record(
    context: RolloutContext, evaluation: Evaluation, verdict: Verdict, action: Action
) -> Rollout:
    """The tick for people first, then the intent: a crash between them repeats the same number.

    It is written over an earlier one of that number only while the rollout's record stands as it
    was read: whoever has decided meanwhile keeps the number. Raises ``RecordConflict``.
    """
    rollout, ledger = evaluation.rollout, context.ports.ledger
    tick = tick_of(evaluation, verdict, action, evidence_of(evaluation))
    earlier = ledger.get(Tick, tick.partition, tick.sort)
    check_fence(context, rollout)
    ledger.put(tick.model_copy(update={"version": earlier.version if earlier else 0}))
    return context.note(rollout, **moved(evaluation, verdict, action))


def tick_of(evaluation: Evaluation, verdict: Verdict, action: Action, seen: Seen | None) -> Tick:
    """What is kept of a decision."""
    rollout, changes = evaluation.rollout, moved(evaluation, verdict, action)
    return Tick(
        release_id=rollout.release_id,
        stage=rollout.stage,
        target=rollout.target,
        number=rollout.ticks + 1,
        at=evaluation.now,
        action=ACTION_NAMES[type(action)],
        weight=changes.get("weight", rollout.weight),
        why=action.why,
        verdict=verdict,
        seen=seen,
    )


def _end(rollout: Rollout) -> NoReturn:
    """Say again why this rollout goes back: a decision to restore is not taken twice."""
    raise _ENDS.get(rollout.error, Unhealthy)(rollout.cause)


def _next_evaluation(ports: Ports, action: SetWeight | Hold) -> int:
    wait = action.bake if isinstance(action, SetWeight) else action.wait
    return max(1, min(ceil(wait.total_seconds()), ports.evaluation_seconds))
