"""The traffic's part of a rollout: one look, one decision, one weight on every alias."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import NoReturn, TypedDict

from tidegate.core.compare import compared_of, physical_name, queries_of
from tidegate.core.errors import Aborted, Unhealthy
from tidegate.core.look import ACTION_NAMES, Look, consider, moved, policy_of
from tidegate.core.memory import probe_bins, remember
from tidegate.core.plan import MetricQuery
from tidegate.core.ports import (
    Compared,
    Counts,
    MetricSeries,
    Observation,
    Pair,
    PairBins,
    Ports,
)
from tidegate.core.record import (
    Call,
    Rollout,
    RolloutPhase,
    Seen,
    ServedBefore,
    Tick,
    Verdict,
    Wish,
)
from tidegate.core.rollout import LASTING, Action, Hold, Promote, Restore, SetWeight
from tidegate.core.workflow.baseline import alarm_names, refuse_firing
from tidegate.core.workflow.probe import send_probes
from tidegate.core.workflow.routing import alias_of, bring, foreign
from tidegate.core.workflow.scene import (
    RolloutRef,
    Scene,
    check_fence,
    open_scene,
    refuse_foreign,
)
from tidegate.core.workflow.tokens import answer_bake, bake_purpose, keep_token, said_to
from tidegate.core.workflow.warm import give_up_alias

_ENDS = {error.__name__: error for error in (Aborted, Unhealthy)}
_TOKEN_LIFE = timedelta(days=1)
_BASELINE = timedelta(hours=1)  # how far back the traffic before the shift is looked at


class Ticked(TypedDict):
    """Whether the candidates have all traffic, and else how long to wait for the next look."""

    promoted: bool
    bake_seconds: int


def tick(ports: Ports, ref: RolloutRef) -> Ticked:
    """Bring every alias to the recorded weight, look, decide, and carry the decision out.

    What is decided is recorded before an alias is written, so a tick that was cut short is
    completed by the next one.
    Raises ``Unhealthy``, ``Aborted``, ``AlarmsFiring``, ``AliasChangedByOthers``,
    ``AliasConflict``, ``LockLost``.
    """
    scene = open_scene(ports, ref)
    rollout = scene.require_rollout()
    check_fence(scene, rollout)
    if rollout.error:
        _end(rollout)
    if rollout.phase is RolloutPhase.VALIDATING:
        rollout = _begin_shifting(scene, rollout)
    rollout = _carry_out(scene, rollout)
    if rollout.phase is not RolloutPhase.SHIFTING:
        return Ticked(promoted=True, bake_seconds=0)
    return _advance(scene, rollout)


def bake(ports: Ports, ref: RolloutRef, token: str) -> None:
    """Keep the token while the bake lasts, for a wish or an alarm to end it early."""
    until = ports.clock.now() + _TOKEN_LIFE
    purpose = bake_purpose(ref.stage, ref.target)
    answer_bake(ports, keep_token(ports, ref.release.id, purpose, token, until))


def _begin_shifting(scene: Scene, rollout: Rollout) -> Rollout:
    """Remember how the world was before; with nothing to shift, the candidates serve by now.

    Raises ``AlarmsFiring`` when the manifest does not want to begin so.
    """
    alarms, ref = _alarms(scene), scene.ref
    firing = tuple(scene.world.metrics.firing(alarms) if alarms else ())
    if rollout.shifts:
        refuse_firing(scene.stage, ref.target, firing)
    said = said_to(scene.ports, ref.release.id, ref.stage, ref.target)
    return scene.save(
        _hear(rollout, said),
        phase=RolloutPhase.SHIFTING if rollout.shifts else RolloutPhase.VERIFYING,
        alarms=alarms,
        baseline_alarms=firing,
        before=_before(scene, rollout),
        metrics_before=_metrics_before(scene, rollout),
    )


def _before(scene: Scene, rollout: Rollout) -> tuple[ServedBefore, ...]:
    """What the aliases that will shift served in the last hour."""
    if not rollout.shifts:
        return ()
    now = scene.ports.clock.now()
    refs = [alias_of(shift) for shift in rollout.shifts]
    return tuple(
        ServedBefore(
            invocations=one.served.invocations,
            errors=one.served.errors,
            seconds=one.seconds,
            edges_ms=one.edges_ms,
        )
        for one in scene.world.metrics.baselines(refs, now - _BASELINE, now)
    )


def _metrics_before(scene: Scene, rollout: Rollout) -> dict[str, float]:
    """The highest value in the last hour of each metric that may reach it again."""
    names = {one.query.name for one in scene.stage.checks.metrics if one.or_before}
    if not names or not rollout.shifts:
        return {}
    now = scene.ports.clock.now()
    asked = [one for one in _queries(scene, scene.state().resources) if one.name in names]
    found = scene.world.metrics.series(asked, now - _BASELINE, now)
    return {one.name: max(each.value for each in one.values) for one in found if one.values}


def _carry_out(scene: Scene, rollout: Rollout) -> Rollout:
    """Complete the recorded move: all aliases are looked at before the first is written."""
    aliases = scene.world.aliases
    possible = (rollout.left_weight, rollout.weight)
    refuse_foreign(scene, rollout, foreign(aliases, rollout.shifts, possible))
    there = []
    for shift in rollout.shifts:
        if rollout.weight >= 1.0 and rollout.left_weight < 1.0:
            give_up_alias(scene, rollout, shift)
        revision = bring(aliases, shift, rollout.weight, partial(check_fence, scene, rollout))
        there.append(shift.model_copy(update={"revision": revision}))
    if rollout.left_weight == rollout.weight and not rollout.foreign:
        return rollout
    settled = scene.note(rollout, left_weight=rollout.weight, foreign="", shifts=tuple(there))
    scene.tell(settled)
    return settled


def _advance(scene: Scene, rollout: Rollout) -> Ticked:
    look = _look(scene, rollout)
    verdict, action = consider(policy_of(scene.stage, rollout), look)
    rollout = _record(scene, look, verdict, action)
    if isinstance(action, Restore):
        _end(rollout)
    if not isinstance(action, Hold):  # which leaves every alias where it was found just now
        _carry_out(scene, rollout)
    elif action.probe and scene.stage.checks.errors.probe:
        send_probes(scene, rollout, scene.stage.checks.errors.probe)
    if isinstance(action, Promote):
        return Ticked(promoted=True, bake_seconds=0)
    return Ticked(promoted=False, bake_seconds=_next_look(scene.ports, action))


def _look(scene: Scene, rollout: Rollout) -> Look:
    """What metrics and alarms say since the candidates first had a weight, and what people want."""
    now, ref = scene.ports.clock.now(), scene.ref
    said = said_to(scene.ports, ref.release.id, ref.stage, ref.target)
    return Look(
        rollout=_hear(rollout, said),
        observation=_observe(scene, rollout, now),
        wishes=standing(said, rollout.heard),
        now=now,
    )


def _observe(scene: Scene, rollout: Rollout, now: datetime) -> Observation:
    checks, metrics = scene.stage.checks, scene.world.metrics
    before, since = rollout.before, rollout.shifting_since or now
    edges = [one.edges_ms for one in before] if checks.latency else []
    tolerance = checks.latency.tolerance if checks.latency else 0.0
    pairs = [Pair(alias_of(s), s.stable, s.candidate) for s in rollout.shifts]
    seen = metrics.bins(pairs, since, now, edges, tolerance)
    known = [Counts(one.invocations, one.errors) for one in before] or [Counts()] * len(seen)
    own, compared = _own_metrics(scene, rollout, seen, now)
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
    scene: Scene, rollout: Rollout, pairs: Sequence[PairBins], now: datetime
) -> tuple[tuple[MetricSeries, ...], tuple[Compared, ...]]:
    """The stage's metrics, with bounds and by version, in one reading."""
    checks, since = scene.stage.checks, rollout.shifting_since or now
    if not checks.metrics and not checks.compared:
        return (), ()
    resources = scene.state().resources
    bounded = _queries(scene, resources)
    by_version = [query for one in checks.compared for query in queries_of(one, pairs, resources)]
    series = scene.world.metrics.series([*bounded, *by_version], since, now)
    compared = (compared_of(one, pairs, resources, series) for one in checks.compared)
    before = rollout.metrics_before
    own = (replace(one, before=before.get(one.name)) for one in series[: len(bounded)])
    return tuple(own), tuple(compared)


def _queries(scene: Scene, resources: Mapping[str, str]) -> list[MetricQuery]:
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

    return [physical(policy.query) for policy in scene.stage.checks.metrics]


def _alarms(scene: Scene) -> tuple[str, ...]:
    return alarm_names(scene.stage, scene.state()) if scene.stage.checks.alarms else ()


def standing(said: Iterable[Wish | Call], heard: Iterable[str]) -> list[Wish]:
    """The wishes that last until they are taken back, and others that are new to the rollout."""
    known = set(heard)
    return [
        wish
        for wish in said
        if isinstance(wish, Wish)
        and wish.active
        and (wish.verb in LASTING or wish.mark not in known)
    ]


def _hear(rollout: Rollout, said: Iterable[Wish | Call]) -> Rollout:
    return rollout.model_copy(update={"heard": tuple(item.mark for item in said)})


def _record(scene: Scene, look: Look, verdict: Verdict, action: Action) -> Rollout:
    """The tick for people first, then the intent: a crash between them repeats the same number.

    It is written over an earlier one of that number only while the rollout's record stands as it
    was read: whoever has decided meanwhile keeps the number. Raises ``RecordConflict``.
    """
    rollout, ledger = look.rollout, scene.ports.ledger
    tick = tick_of(look, verdict, action, remember(look))
    earlier = ledger.get(Tick, tick.partition, tick.sort)
    check_fence(scene, rollout)
    ledger.put(tick.model_copy(update={"version": earlier.version if earlier else 0}))
    return scene.note(rollout, **moved(look, verdict, action))


def tick_of(look: Look, verdict: Verdict, action: Action, seen: Seen | None) -> Tick:
    """What is kept of a decision."""
    rollout, changes = look.rollout, moved(look, verdict, action)
    return Tick(
        release_id=rollout.release_id,
        stage=rollout.stage,
        target=rollout.target,
        number=rollout.ticks + 1,
        at=look.now,
        action=ACTION_NAMES[type(action)],
        weight=changes.get("weight", rollout.weight),
        why=action.why,
        verdict=verdict,
        seen=seen,
    )


def _end(rollout: Rollout) -> NoReturn:
    """Say again why this rollout goes back: a decision to restore is not taken twice."""
    raise _ENDS.get(rollout.error, Unhealthy)(rollout.cause)


def _next_look(ports: Ports, action: SetWeight | Hold) -> int:
    wait = action.bake if isinstance(action, SetWeight) else action.wait
    return max(1, min(ceil(wait.total_seconds()), ports.look_seconds))
