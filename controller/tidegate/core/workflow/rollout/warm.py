"""Warm before traffic, cold after it: provisioned concurrency of the versions of a rollout.

Provisioned concurrency lies on versions. The candidate's is allocated before it is validated, and
the stable version's stays until the rollout is over, so that traffic never meets a cold version,
forth or back. What is allocated is in the record before it is asked for; whoever settles a rollout
releases what nothing serves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tidegate.core.errors import TidegateError, WarmUpFailed
from tidegate.core.model.plan import ManagedAlias, OnFirstFailure
from tidegate.core.model.record import Rollout, RolloutPhase, Shift, Warm
from tidegate.core.ports import Allocation, Capacity, Ports, StackState, TargetPorts, Warmth
from tidegate.core.workflow.records import raise_if_aborted
from tidegate.core.workflow.target.context import (
    RolloutContext,
    RolloutRef,
    check_fence,
    open_context,
    refuse_other_owner,
)
from tidegate.core.workflow.target.routing import alias_ref

_RESTORING = {RolloutPhase.RESTORING, RolloutPhase.RESTORED}


def warm_candidates(ports: Ports, ref: RolloutRef) -> dict[str, bool]:
    """Have every candidate active and its provisioned concurrency allocated, or say: not yet.

    Raises ``WarmUpFailed`` with Lambda's reason, ``Aborted``, ``LockLost``.
    """
    context = open_context(ports, ref)
    rollout = context.require_rollout()
    if rollout.warmed or rollout.phase is not RolloutPhase.VALIDATING:
        return {"done": True}
    raise_if_aborted(ports, ref.release.id)
    check_fence(context, rollout)
    active = [_is_active(context, *version) for version in _candidates(rollout)]
    if not all(active):
        return {"done": False}
    warm = [
        _is_warm(context.world, one) for one in rollout.warms
    ]  # all are asked for, then awaited
    if not all(warm):
        return {"done": False}
    context.note(rollout, warmed=True)
    return {"done": True}


def settle_capacity(ports: Ports, ref: RolloutRef) -> None:
    """Leave provisioned concurrency on what serves, and nowhere else.

    Raises the first error after it has tried everything, ``LockLost`` when another release deploys.
    """
    context = open_context(ports, ref)
    rollout = context.rollout()
    if rollout is None or not rollout.warms:
        return
    refuse_other_owner(context)
    if rollout.phase is RolloutPhase.SUCCEEDED:
        keep_warm_what_serves(context, rollout, promoted=True)
    elif rollout.phase in _RESTORING:
        keep_warm_what_serves(context, rollout, promoted=False)


def keep_warm_what_serves(context: RolloutContext, rollout: Rollout, *, promoted: bool) -> None:
    """The same, for whoever knows how the rollout ends. Raises the first error after all."""
    stays = rollout.first_deployment and context.stage.on_first_failure is OnFirstFailure.KEEP
    errors = []
    for warm in rollout.warms:
        cool = _cool_stable if promoted or (stays and not warm.stable) else _cool_candidate
        try:
            cool(context.world.capacity, warm)
        except TidegateError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def give_up_alias(context: RolloutContext, rollout: Rollout, shift: Shift) -> None:
    """Take from the alias what it held itself, right before it moves: both cannot have it."""
    for warm in rollout.warms:
        if warm.by_alias and (warm.function, warm.alias) == (shift.function, shift.alias):
            check_fence(context, rollout)
            context.world.capacity.release(warm.function, warm.alias)


def find_warms(
    context: RolloutContext, shifts: Iterable[Shift], state: StackState
) -> tuple[Warm, ...]:
    """What the managed aliases are to have, and what their stable versions have."""
    wanted = {one.alias_logical_id: one.executions for one in context.stage.provisioned}
    live = context.live()
    known = wanted.keys() | (live.provisioned.keys() if live else ())
    moving = {(shift.function, shift.alias): shift for shift in shifts}
    return tuple(
        _warm(context, alias, state, wanted.get(alias.alias_logical_id, 0), moving)
        for alias in context.plan.aliases
        if alias.alias_logical_id in known and alias.alias_logical_id in state.resources
    )


def _warm(
    context: RolloutContext,
    alias: ManagedAlias,
    state: StackState,
    wanted: int,
    moving: Mapping[tuple[str, str], Shift],
) -> Warm:
    ref = alias_ref(alias, state)
    shift = moving.get((ref.function, ref.alias))
    serving = shift.stable if shift else context.world.aliases.read(ref).version
    found = context.world.capacity.allocations(ref.function)
    held = found.get(ref.alias) or found.get(serving)
    return Warm(
        function=ref.function,
        alias=ref.alias,
        stable="" if _is_new(context, alias) else serving,
        candidate=shift.candidate if shift else serving,
        wanted=wanted,
        before=held.executions if held else 0,
        by_alias=ref.alias in found,
    )


def _is_new(context: RolloutContext, alias: ManagedAlias) -> bool:
    """The alias came into being with this deployment: there is no version to go back to."""
    return any(
        change.logical_id == alias.alias_logical_id and change.change == "Add"
        for change in context.require_preview().changes
    )


def _candidates(rollout: Rollout) -> list[tuple[str, str]]:
    """Function and version of each, once."""
    moving = [(shift.function, shift.candidate) for shift in rollout.shifts]
    warm = [(warm.function, warm.candidate) for warm in rollout.warms]
    return list(dict.fromkeys([*moving, *warm]))


def _is_active(context: RolloutContext, function: str, version: str) -> bool:
    state = context.world.capacity.version(function, version)
    if state.failed:
        raise WarmUpFailed(
            f"Version {version} of {function} did not become active: {state.reason}.",
            remedy="Its log shows whether its code starts; with SnapStart it does so at once.",
        )
    return state.active


def _is_warm(world: TargetPorts, warm: Warm) -> bool:
    """Ask for what the candidate lacks. Raises ``WarmUpFailed``."""
    found = world.capacity.allocations(warm.function)
    for version in _left_over(world, warm, found):
        world.capacity.release(warm.function, version)
    if warm.by_alias and warm.stable == warm.candidate:
        world.capacity.release(warm.function, warm.alias)  # it stays, its configuration moves
    if not warm.wanted:
        return True
    has = found.get(warm.candidate)
    if has is None or has.executions != warm.wanted:
        world.capacity.allocate(warm.function, warm.candidate, warm.wanted)
        return False
    if has.warmth is Warmth.FAILED:
        raise WarmUpFailed(
            f"{warm.wanted} of provisioned concurrency could not be allocated to version"
            f" {warm.candidate} of {warm.function}: {has.reason or 'no reason given'}.",
            remedy="See that its code starts, and that the account has so much concurrency left.",
        )
    return has.warmth is Warmth.READY


def _left_over(world: TargetPorts, warm: Warm, found: Mapping[str, Allocation]) -> list[str]:
    """Versions that nothing serves: of rollouts that were cut short."""
    others = [q for q in found if q.isdecimal() and q not in {warm.stable, warm.candidate}]
    in_use = world.versions.in_use(warm.function) if others else frozenset[int]()
    return [version for version in others if int(version) not in in_use]


def _cool_stable(capacity: Capacity, warm: Warm) -> None:
    """The candidate serves: it keeps what it has, and nothing else has any."""
    if warm.stable and warm.stable != warm.candidate:
        capacity.release(warm.function, warm.stable)
    elif not warm.wanted:
        capacity.release(warm.function, warm.candidate)


def _cool_candidate(capacity: Capacity, warm: Warm) -> None:
    """The stable version serves, with what it had; the candidate is let go."""
    if warm.stable != warm.candidate:
        capacity.release(warm.function, warm.candidate)
    if warm.by_alias or warm.stable == warm.candidate:
        _give_back(capacity, warm)


def _give_back(capacity: Capacity, warm: Warm) -> None:
    """What the stable version had before; it still has it when its alias never gave it up."""
    if not warm.before:
        capacity.release(warm.function, warm.stable)
        return
    found = capacity.allocations(warm.function)
    has = found.get(warm.alias) or found.get(warm.stable)
    if has is None or has.executions != warm.before:
        capacity.allocate(warm.function, warm.stable, warm.before)
