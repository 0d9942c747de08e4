"""Which versions every alias served in an earlier release, and whether they are still there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tidegate.core.errors import NotAllowedNow, NotFound
from tidegate.core.model.plan import ReleasePlan
from tidegate.core.model.record import Live, Release, Rollout, Shift, application_partition
from tidegate.core.ports import AliasRef, Ports, TargetPorts
from tidegate.core.text.commands import command
from tidegate.core.workflow.operator.requests import Operator, ref_named
from tidegate.core.workflow.operator.starts import good_before
from tidegate.core.workflow.records import find, plan_of, release_of
from tidegate.core.workflow.target.routing import describe_change_by_others, routing, routing_of

_OLDEST = 200  # releases that are looked through for what one of them served


@dataclass(frozen=True, slots=True)
class Leg:
    """One target, and the aliases there that are to serve another version."""

    stage: str
    target: str
    shifts: tuple[Shift, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator asked for, and which release has the lock at that time."""

    operator: Operator
    release: Release
    good: Release
    reason: str
    holder: Release | None


def live_targets(ports: Ports, application: str) -> list[Live]:
    """What each target of the application serves."""
    items = ports.ledger.query(application_partition(application), "LIVE#")
    return [item for item in items if isinstance(item, Live)]


def legs_of(ports: Ports, release: Release, good: Release) -> list[Leg]:
    """Where this release is live, and what is to move there. Raises ``NotAllowedNow``."""
    plan = plan_of(ports.ledger, release.id)
    lives = live_targets(ports, release.application)
    legs = [_leg(ports, plan, live, good) for live in lives if live.release_id == release.id]
    return [leg for leg in legs if leg.shifts]


def _leg(ports: Ports, plan: ReleasePlan, live: Live, good: Release) -> Leg:
    served = _served(ports, live, good)
    world = ports.targets.open(plan.stage(live.stage).target(live.target))
    shifts = [
        _shift(name, now, served[name])
        for name, now in live.versions.items()
        if served.get(name, now) != now
    ]
    problems = [said for shift in shifts for said in _problems(world, shift)]
    if problems:
        raise NotAllowedNow(
            f"{live.stage} {live.target} cannot go back to {good.id}: {'; '.join(problems)}.",
            remedy=_anew(live, good),
        )
    return Leg(live.stage, live.target, tuple(shifts))


def _served(ports: Ports, live: Live, good: Release) -> Mapping[str, str]:
    """What every alias served there under the good release. Raises ``NotAllowedNow``.

    It may have had nothing to deploy there; then it served what the one before had left.
    """
    for number in range(good.number, max(0, good.number - _OLDEST), -1):
        rollout = find(
            ports.ledger,
            Rollout,
            release_id=f"{good.application}-{number}",
            stage=live.stage,
            target=live.target,
        )
        if rollout and rollout.versions:
            return rollout.versions
    raise NotAllowedNow(
        f"The record does not say which versions {good.id} served at {live.stage} {live.target}.",
        remedy=_anew(live, good),
    )


def served_before(ports: Ports, live: Live) -> Mapping[str, str]:
    """What the next traffic-only rollback would put back there; {} when there is nothing."""
    try:
        good = good_before(ports, release_of(ports.ledger, ref_named(live.release_id)), "")
        return _served(ports, live, good)
    except NotAllowedNow:
        return {}


def _anew(live: Live, good: Release) -> str:
    anew = command("rollback", live.release_id, to=good.id)
    return f"Nothing was changed. `{anew}` releases it anew."


def _shift(name: str, now: str, wanted: str) -> Shift:
    function, _, alias = name.rpartition(":")
    return Shift(function=function, alias=alias, stable=now, candidate=wanted)


def _problems(world: TargetPorts, shift: Shift) -> Iterator[str]:
    """Why this alias cannot go back: its version is gone, or somebody else has moved it."""
    try:
        world.versions.code(shift.function, shift.candidate)
    except NotFound:
        yield f"version {shift.candidate} of {shift.function} is not there any more"
    found = routing_of(world.aliases.read(AliasRef(shift.function, shift.alias)))
    expected = [routing(shift, 0.0), routing(shift, 1.0)]
    if found not in expected:
        yield describe_change_by_others(shift, found, expected)
