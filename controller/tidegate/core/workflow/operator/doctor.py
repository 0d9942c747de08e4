"""What would stop or blind a release, or costs for nothing, found before one needs it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tidegate.core.errors import NotFound, TidegateError
from tidegate.core.model.base import Model, named
from tidegate.core.model.plan import ReleasePlan, StagePlan, Target
from tidegate.core.model.record import Release, application_partition
from tidegate.core.model.stack_status import Standing, remedy, standing
from tidegate.core.ports import Allocation, Ports, StackState, TargetPorts, Warmth
from tidegate.core.workflow.records import plan_of
from tidegate.core.workflow.target.routing import alias_ref

_RECENT = timedelta(hours=24)
_ALARMS = {  # what is said of an alarm in this state, and what to do about it
    "OK": ("is there, has data and is quiet", ""),
    "ALARM": ("fires now", "It tells nothing of a candidate until it is quiet."),
    "INSUFFICIENT_DATA": ("has no data", "See that its metric and its dimensions exist."),
    "": ("is not there", "Correct `checks.alarms` in the manifest, or create the alarm."),
}


class Finding(Model):
    """One thing that was looked at."""

    place: str  # "prod 333333333333/eu-west-1"
    what: str  # role, stack, alarm, metrics, capacity
    well: bool
    says: str
    remedy: str = named("mend", "")


def diagnose(ports: Ports, application: str) -> list[Finding]:
    """Look at every target of the application's newest plan. Raises ``NotFound``."""
    plan = _newest_plan(ports, application)
    return [
        finding
        for stage in plan.stages
        for wave in stage.waves
        for target in wave
        for finding in _target(ports, plan, stage, target)
    ]


def _newest_plan(ports: Ports, application: str) -> ReleasePlan:
    newest = ports.ledger.query(
        application_partition(application), "RELEASE#", newest_first=True, limit=1
    )
    release = next((item for item in newest if isinstance(item, Release)), None)
    if release is None:
        raise NotFound(
            f"There is no release of {application}.", remedy="`tidegate list` shows what there is."
        )
    return plan_of(ports.ledger, release.id)


def _target(ports: Ports, plan: ReleasePlan, stage: StagePlan, target: Target) -> Iterator[Finding]:
    place = f"{stage.name} {target.id}"
    try:
        world = ports.targets.open(target)
        state = world.stacks.state(target.stack_name)
    except TidegateError as error:
        yield _bad(place, "role", error)
        return
    yield Finding(place=place, what="role", well=True, says=f"{target.role_arn} lets us in")
    yield _stack(place, target, state)
    yield from _alarms(place, world, stage, state)
    yield from _metrics(ports, place, world, plan, state)
    yield from _capacity(place, world, plan, state)


def _stack(place: str, target: Target, state: StackState) -> Finding:
    status = state.status or "not there yet"
    says = f"{target.stack_name} is {status}"
    return Finding(
        place=place,
        what="stack",
        well=standing(state.status) is not Standing.BROKEN,
        says=f"{says}: {state.reason}" if state.reason else says,
        remedy=remedy(state.status),
    )


def _alarms(
    place: str, world: TargetPorts, stage: StagePlan, state: StackState
) -> Iterator[Finding]:
    """Alarms of the template itself are not there before its first deployment."""
    wanted = [state.resources.get(a, a) for a in stage.checks.alarms] if state.exists else []
    try:
        words = world.signals.alarms(wanted)
    except TidegateError as error:
        yield _bad(place, "alarm", error)
        return
    for name in wanted:
        says, advice = _ALARMS.get(words.get(name, ""), _ALARMS[""])
        yield Finding(
            place=place, what="alarm", well=not advice, says=f"{name} {says}", remedy=advice
        )


def _metrics(
    ports: Ports, place: str, world: TargetPorts, plan: ReleasePlan, state: StackState
) -> Iterator[Finding]:
    """Whether the versions that serve have been called: without requests nothing is judged."""
    until = ports.clock.now()
    for alias in plan.aliases:
        if alias.alias_logical_id not in state.resources:
            continue
        ref = alias_ref(alias, state)
        try:
            version = world.aliases.read(ref).version
            calls = world.signals.requests(ref, version, until - _RECENT, until)
        except TidegateError as error:
            yield _bad(place, "metrics", error)
            continue
        yield Finding(
            place=place,
            what="metrics",
            well=calls > 0,
            says=f"{ref.function}:{ref.alias} had {calls} requests on version {version} in a day",
            remedy="" if calls else "Without requests no canary is judged: send some.",
        )


def _capacity(
    place: str, world: TargetPorts, plan: ReleasePlan, state: StackState
) -> Iterator[Finding]:
    """Provisioned concurrency of versions that nothing serves: it costs, and helps nobody."""
    for function in sorted({state.resources.get(alias.function, "") for alias in plan.aliases}):
        if not function:
            continue
        try:
            found = world.capacity.allocations(function)
            serving = world.versions.in_use(function) if found else frozenset[int]()
        except TidegateError as error:
            yield _bad(place, "capacity", error)
            continue
        for qualifier, allocation in sorted(found.items()):
            yield _allocated(place, function, qualifier, allocation, serving)


def _allocated(
    place: str, function: str, qualifier: str, allocation: Allocation, serving: frozenset[int]
) -> Finding:
    idle = qualifier.isdecimal() and int(qualifier) not in serving
    says = f"{function}:{qualifier} has {allocation.executions} of provisioned concurrency"
    if idle:
        return Finding(
            place=place,
            what="capacity",
            well=False,
            says=f"{says}, and nothing serves that version",
            remedy="The next release of the function releases it, or you do:"
            " `aws lambda delete-provisioned-concurrency-config"
            f" --function-name {function} --qualifier {qualifier}`.",
        )
    failed = allocation.warmth is Warmth.FAILED
    return Finding(
        place=place,
        what="capacity",
        well=not failed,
        says=f"{says}, {allocation.warmth}{f': {allocation.reason}' if failed else ''}",
        remedy="See that its code starts, and that the account has room." if failed else "",
    )


def _bad(place: str, what: str, error: TidegateError) -> Finding:
    return Finding(place=place, what=what, well=False, says=error.message, remedy=error.remedy)
