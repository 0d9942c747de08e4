"""Traffic alone goes back to what an earlier release served, in seconds; the stacks stay.

It is a release of its own, with a number, a lock and a fence like any other, so that nothing else
deploys meanwhile, the record tells it, and the guardian finishes what is cut short: every alias
ends on the version that is gone back to. What the stacks are stays in its plan and in ``Live``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tidegate.core.errors import AliasChangedByOthers, LockLost, NotAllowedNow, RecordConflict
from tidegate.core.model.plan import ReleasePlan, ReleaseRef, StagePlan, StrategyPlan
from tidegate.core.model.record import (
    Execution,
    Lock,
    Plan,
    Release,
    ReleasePhase,
    Rollout,
    RolloutPhase,
    Shift,
    TrafficRollback,
)
from tidegate.core.ports import Ports
from tidegate.core.text.commands import command
from tidegate.core.workflow.events import publish_release
from tidegate.core.workflow.operator.aborts import ask_to_end
from tidegate.core.workflow.operator.requests import Operator, record_audit_entry, ref_named
from tidegate.core.workflow.operator.served_before import Leg, Wanted, legs_of, live_targets
from tidegate.core.workflow.operator.starts import good_before
from tidegate.core.workflow.records import (
    again_when,
    find,
    plan_of,
    put_once,
    ref_of,
    release_of,
    rollouts_of,
)
from tidegate.core.workflow.release.lock import free_lock, read_lock, take_over
from tidegate.core.workflow.release.plan import next_number
from tidegate.core.workflow.release.settle import settle_release
from tidegate.core.workflow.stage.settle import settle_stage
from tidegate.core.workflow.target.context import (
    RolloutContext,
    RolloutRef,
    check_fence,
    open_context,
    write_every_alias,
)
from tidegate.core.workflow.target.live_versions import succeed
from tidegate.core.workflow.target.routing import restore_alias
from tidegate.core.workflow.task_tokens import answer_all

_WRITES = 4  # at most, for a target and for the release: each may meet one who does the same


def rollback_now(
    ports: Ports, operator: Operator, release_id: str, to: str = "", reason: str = ""
) -> str:
    """Put every alias that this live release moved back on what an earlier good one served.

    ``to`` names that release; "" is the last good one that was something else. Repeated, it goes on
    where it was cut short; asked twice at the same moment, it is one release, which both bring to
    its end. A release under way that moves nothing where this one is live is aborted
    for it, and what it waits for is void. Returns a sentence. Raises ``NotAllowedNow``, before
    anything is changed, when one moves something there, this one is not live, or a version is not
    there any more; ``RestoreFailed`` when an alias could not be put; ``AliasChangedByOthers``.
    """
    release = release_of(ports.ledger, ref_named(release_id))
    lock = read_lock(ports.ledger, release.application)
    holder = _holder(ports, lock)
    begun = holder if holder and holder.left == release.id else None
    if begun is None and (done := _done(ports, release)):
        return _sentence(operator, done)
    again = _repeat(release, to, reason)
    if begun is None and holder:
        _refuse_shifting(ports, release, holder, again, reason)
    goal = begun.traffic_rollback.to if begun and begun.traffic_rollback else to
    good = good_before(ports, release, goal)
    legs = legs_of(ports, release, good)
    if begun is None and not legs:
        if done := _done(ports, release):
            return _sentence(operator, done)
        raise NotAllowedNow(f"{release.application} serves what {good.id} served already.")
    record_audit_entry(ports, operator, release_id, "rollback-now", reason)
    if begun is None:
        begun = _begin(ports, Wanted(operator, release, good, reason, holder), legs, lock)
        if holder:
            _give_way_to_it(ports, begun, release, holder, again)
    carry_out = partial(_carry_out, ports, begun, legs)
    try:
        again_when(RecordConflict, carry_out, readings=_WRITES * (len(legs) + 1))
    except LockLost:
        if release_of(ports.ledger, ref_of(begun)).phase is not ReleasePhase.SUCCEEDED:
            raise  # else who does the same was faster, and has freed the lock
    return _sentence(operator, begun)


def _holder(ports: Ports, lock: Lock) -> Release | None:
    """Who has the lock. Raises ``NotAllowedNow`` for a release that is stuck."""
    if not lock.owner:
        return None
    holder = find(ports.ledger, Release, application=lock.application, number=lock.release_number)
    if holder and holder.phase is ReleasePhase.STUCK:
        raise NotAllowedNow(
            f"{holder.id} is stuck, and has the lock of {lock.application}.",
            remedy=f"Set its traffic right, then `{command('unlock', holder.id)}`.",
        )
    return holder


def _repeat(release: Release, to: str, reason: str) -> str:
    """The command that asks for the same once more."""
    return f"`{command('rollback', release.id, to=to, now=True, reason=_given(reason))}`"


def _given(reason: str) -> str:
    return reason.strip() or "..."


def _refuse_shifting(
    ports: Ports, release: Release, holder: Release, again: str, reason: str
) -> None:
    """Raises ``NotAllowedNow`` where another release moves what this one serves."""
    watch = f"`{command('get', holder.id, watch=True)}` shows when that is done; then {again}."
    if holder.traffic_rollback and not holder.phase.over:
        raise NotAllowedNow(f"{holder.id} puts traffic back at this moment.", remedy=watch)
    for rollout in _moving(ports, release, holder):
        said = f"{holder.id} is {rollout.phase} at {rollout.stage} {rollout.target}."
        if rollout.phase in {RolloutPhase.RESTORING, RolloutPhase.FINISHING}:
            raise NotAllowedNow(said, remedy=watch)
        end = f"`{command('abort', holder.id, reason=_given(reason))}`"
        raise NotAllowedNow(
            said, remedy=f"{end} takes it back to what {release.id} serves there. {watch}"
        )


def _moving(ports: Ports, release: Release, holder: Release) -> list[Rollout]:
    """The holder's rollouts that are under way where this release is live."""
    lives = live_targets(ports, release.application)
    places = {(live.stage, live.target) for live in lives if live.release_id == release.id}
    return [
        rollout
        for rollout in rollouts_of(ports.ledger, holder.id)
        if not rollout.phase.over and (rollout.stage, rollout.target) in places
    ]


def _give_way_to_it(
    ports: Ports, traffic_rollback: Release, release: Release, holder: Release, again: str
) -> None:
    """Leave the lock to a holder that has begun to move the same targets just before we took it.

    It was told to end. From here on it finds the lock with another fence, whatever it does next.
    """
    if not _moving(ports, release, holder):
        return
    again_when(RecordConflict, partial(_call_off, ports, ref_of(traffic_rollback)))
    answer_all(ports, holder.id)
    again_when(RecordConflict, partial(free_lock, ports, ref_of(traffic_rollback)))
    raise NotAllowedNow(
        f"{holder.id} has begun to deploy at this moment, and ends now.",
        remedy=f"`{command('get', holder.id, watch=True)}` shows when it has; then {again}.",
    )


def _call_off(ports: Ports, ref: ReleaseRef) -> None:
    traffic_rollback = release_of(ports.ledger, ref)
    if not traffic_rollback.phase.over:
        ended = {"phase": ReleasePhase.ABORTED, "ended_at": ports.clock.now(), "error": "Locked"}
        ports.ledger.put(traffic_rollback.model_copy(update=ended))


def _done(ports: Ports, release: Release) -> Release | None:
    """The way back from this release that was taken. Raises ``NotAllowedNow``: it is not live."""
    lives = live_targets(ports, release.application)
    if any(live.release_id == release.id for live in lives):
        return None
    if not release.phase.over:
        raise NotAllowedNow(
            f"{release.id} is under way: it is {release.phase}, and live nowhere yet.",
            remedy=f"`{command('abort', release.id)}` takes its traffic back.",
        )
    for name in sorted({live.release_id for live in lives}):
        now = release_of(ports.ledger, ref_named(name))
        if now.traffic_rollback and now.traffic_rollback.of == release.id:
            return now
    serving = ", ".join(sorted({live.release_id for live in lives})) or "nothing"
    raise NotAllowedNow(
        f"{release.id} is not live anywhere: {serving} is.",
        remedy=f"`tidegate history {release.application}` shows what is live.",
    )


def _begin(ports: Ports, wanted: Wanted, legs: list[Leg], lock: Lock) -> Release:
    """Number it, keep its plan, and take the lock. Raises ``NotAllowedNow``: one was faster.

    One that was faster with the same request has it, and is gone on with. A release that has the
    lock is told to end before it loses it, so that it ends as aborted wherever it goes on. It has
    the lock again afterwards, until it has ended.
    """
    release, holder = wanted.release, wanted.holder
    traffic_rollback = again_when(RecordConflict, partial(_registered, ports, wanted, legs, lock))
    ref = ref_of(traffic_rollback)
    if holder and traffic_rollback.traffic_rollback and traffic_rollback.traffic_rollback.ended:
        why = f"{ref.id} puts the traffic of {release.id} back: {wanted.reason}"
        again_when(RecordConflict, partial(ask_to_end, ports, wanted.operator, holder, why))
    try:
        take_over(ports, ref, lock, traffic_rollback.execution_arn)
    except RecordConflict as conflict:
        if found := _taken_by_the_same(ports, ref):
            return found
        again_when(RecordConflict, partial(_call_off, ports, ref))
        raise NotAllowedNow(
            f"A release of {release.application} has begun, or ended, at this moment.",
            remedy=f"`tidegate list {release.application}` shows it.",
        ) from conflict
    publish_release(ports.bus, traffic_rollback)
    return traffic_rollback


def _registered(ports: Ports, wanted: Wanted, legs: list[Leg], lock: Lock) -> Release:
    """The release of this request, as the lock was found: whoever asks the same has the same."""
    release, holder = wanted.release, wanted.holder
    request = f"rollback-now:{release.id}:{wanted.good.id}:{lock.fence}"
    claim = find(ports.ledger, Execution, arn=request)
    if claim is None:
        number = next_number(ports.ledger, release.application)
        claim = ports.ledger.put(
            Execution(arn=request, application=release.application, number=number)
        )
    ref = ReleaseRef(
        id=f"{claim.application}-{claim.number}",
        application=claim.application,
        number=claim.number,
    )
    put_once(ports.ledger, Plan(plan=_plan(plan_of(ports.ledger, release.id), ref, legs)))
    ended = holder.id if holder and not holder.phase.over else ""
    return put_once(
        ports.ledger,
        Release(
            application=ref.application,
            number=ref.number,
            phase=ReleasePhase.PROGRESSING,
            artifact=wanted.good.artifact,
            execution_arn=f"rollback-now:{ref.id}",
            traffic_rollback=TrafficRollback(of=release.id, to=wanted.good.id, ended=ended),
            started_at=ports.clock.now(),
        ),
    )


def _taken_by_the_same(ports: Ports, ref: ReleaseRef) -> Release | None:
    """This release, when the same request has taken the lock for it at the same moment."""
    lock = read_lock(ports.ledger, ref.application)
    traffic_rollback = release_of(ports.ledger, ref)
    done = traffic_rollback.phase is ReleasePhase.SUCCEEDED
    return traffic_rollback if done or lock.release_number == ref.number else None


def _plan(plan: ReleasePlan, ref: ReleaseRef, legs: list[Leg]) -> ReleasePlan:
    """What is done where. The artifact is that of the stacks, which stay as they are."""
    return plan.model_copy(
        update={"release": ref, "tests": (), "stages": tuple(_stages(plan, legs))}
    )


def _stages(plan: ReleasePlan, legs: list[Leg]) -> Iterator[StagePlan]:
    at_once = {"strategy": StrategyPlan(name="traffic only"), "approval": None}
    for stage in plan.stages:
        targets = {leg.target for leg in legs if leg.stage == stage.name}
        wave = tuple(t for wave in stage.waves for t in wave if t.id in targets)
        if wave:
            moved = {"waves": (wave,), "pre_traffic": (), "post_traffic": ()}
            yield stage.model_copy(update={**at_once, **moved})


def _rollout(ports: Ports, traffic_rollback: Release, leg: Leg, fence: int) -> Rollout:
    """The intent. What is in this phase keeps its candidates, whoever goes on with it."""
    return Rollout(
        release_id=traffic_rollback.id,
        stage=leg.stage,
        target=leg.target,
        phase=RolloutPhase.FINISHING,
        fence=fence,
        shifts=leg.shifts,
        weight=1.0,
        started_at=ports.clock.now(),
    )


def _carry_out(ports: Ports, traffic_rollback: Release, legs: list[Leg]) -> None:
    """To the end, from wherever it is."""
    ref = ref_of(traffic_rollback)
    lock = read_lock(ports.ledger, traffic_rollback.application)
    if lock.lender:
        answer_all(ports, f"{lock.application}-{lock.lender.release_number}")
    for leg in legs:
        put_once(ports.ledger, _rollout(ports, traffic_rollback, leg, lock.fence))
    for stage in plan_of(ports.ledger, traffic_rollback.id).stages:
        for target in (target for wave in stage.waves for target in wave):
            _put(open_context(ports, RolloutRef(release=ref, stage=stage.name, target=target.id)))
        settle_stage(ports, ref, stage.name, None)
    settle_release(ports, traffic_rollback.execution_arn, ref, None)


def _put(context: RolloutContext) -> None:
    """Every alias of one target. Raises ``RestoreFailed``, ``AliasChangedByOthers``."""
    rollout = context.require_rollout()
    if rollout.phase.over:
        return

    def put(shift: Shift) -> str:
        return restore_alias(
            context.world.aliases, shift, 1.0, partial(check_fence, context, rollout)
        )

    strangers = write_every_alias(context, rollout.shifts, put)
    if strangers:
        raise AliasChangedByOthers(
            f"{'; '.join(strangers)}.", remedy="It was left alone: set it right by hand."
        )
    succeed(context, rollout)


def _sentence(operator: Operator, traffic_rollback: Release) -> str:
    back = traffic_rollback.traffic_rollback or TrafficRollback(of="", to="")
    said = (
        f"{operator} put the traffic of {back.of} back on the versions of {back.to}, as"
        f" {traffic_rollback.id}. The stacks still are those of {back.of}:"
        f" `{command('rollback', traffic_rollback.id)}` releases {back.to} and brings them after."
    )
    if back.ended:
        said += (
            f" {back.ended} was under way and was aborted for it:"
            f" `{command('retry', back.ended)}` releases it again."
        )
    return said
