"""Old versions go: of each function those are kept that served well last, and what is referred to.

A version served well when a rollout succeeded with it, and no traffic was taken back from its
release since. Candidates that failed, and versions that a restore published, count for nothing.
Lambda bills the code of every version against one quota of the account, and deletes none by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tidegate.core.errors import TidegateError
from tidegate.core.model.plan import ManagedAlias, ReleasePlan, StagePlan, Target
from tidegate.core.model.record import (
    Live,
    PrunedFunction,
    Pruning,
    Release,
    ReleasePhase,
    Rollout,
    RolloutPhase,
    application_partition,
)
from tidegate.core.model.stack_status import Standing, standing
from tidegate.core.ports import Ports, StackState, TargetPorts
from tidegate.core.workflow.operator.served_before import served_before
from tidegate.core.workflow.records import find, plan_of, put_over, rollouts_of
from tidegate.core.workflow.target.stack_spec import pins_in_force

MOST_DELETIONS = 1500  # of one run: two minutes at the rate that Lambda allows
_RECENT_RELEASES = 100  # whose rollouts are looked at: one at a time deploys, few wait
_OLDEST = 1000  # releases that are looked through for versions that served well


def prune(
    ports: Ports,
    application: str,
    *,
    dry_run: bool,
    stage: str = "",
    target: str = "",
    most: int = MOST_DELETIONS,
) -> list[Pruning]:
    """Delete what nobody needs at every target of the application, or say what would be deleted.

    One target that cannot be pruned is no obstacle for the others: its ``error`` says why.
    """
    done = []
    for live in _live(ports, application):
        if (stage or live.stage) == live.stage and (target or live.target) == live.target:
            pruning = _prune_one(ports, live, dry_run=dry_run, most=most)
            most -= sum(len(function.deleted) for function in pruning.functions)
            done.append(pruning)
    return done


def _live(ports: Ports, application: str) -> list[Live]:
    items = ports.ledger.query(application_partition(application), "LIVE#")
    return [item for item in items if isinstance(item, Live)]


def _prune_one(ports: Ports, live: Live, *, dry_run: bool, most: int) -> Pruning:
    pruning = Pruning(
        application=live.application,
        stage=live.stage,
        target=live.target,
        at=ports.clock.now(),
        dry_run=dry_run,
    )
    try:
        found = _look(ports, live)
    except TidegateError as error:
        return pruning.model_copy(update={"error": str(error)})
    if found.error:
        return pruning.model_copy(update={"error": found.error})
    functions = tuple(_act(found.world, found.functions, dry_run=dry_run, most=most))
    pruned = pruning.model_copy(update={"functions": functions})
    if functions and not dry_run:
        put_over(ports.ledger, pruned)
    return pruned


class _Found:
    """What one target has to spare."""

    def __init__(
        self, world: TargetPorts, functions: list[PrunedFunction], error: str = ""
    ) -> None:
        self.world, self.functions, self.error = world, functions, error


def _look(ports: Ports, live: Live) -> _Found:
    plan = plan_of(ports.ledger, live.release_id)
    stage, target = _place(plan, live)
    world = ports.targets.open(target)
    state = world.stacks.state(target.stack_name)
    if not state.exists or standing(state.status) is not Standing.READY:
        said = state.status or "not there"
        return _Found(world, [], f"The stack {target.stack_name} is {said}: nothing was deleted.")
    rollouts = list(_unfinished(ports, live))
    before = served_before(ports, live)
    aliases = {
        f"{state.resources[alias.function]}:{alias.alias}": alias
        for alias in plan.aliases
        if alias.function in state.resources
    }
    well = _served_well(ports, live, aliases, stage.keep_versions)
    functions = []
    for name, alias in aliases.items():
        needed = well[name] | _numbers([before.get(name, "")])
        needed |= _recorded(live, rollouts, alias, state)
        functions.append(_spare(world, state, alias, stage.keep_versions, needed))
    return _Found(world, [function for function in functions if function.spare])


def _served_well(
    ports: Ports, live: Live, names: Iterable[str], most: int
) -> Mapping[str, set[int]]:
    """The last versions that served well there, so many of each function and alias.

    The releases are read once for all of them, and no further back than is needed.
    """
    well: dict[str, set[int]] = {name: set() for name in names}
    for rollout in _succeeded(ports, live):
        for name, versions in well.items():
            if len(versions) < most:
                versions.update(_numbers([rollout.versions.get(name, "")]))
        if all(len(versions) >= most for versions in well.values()):
            break
    return well


def _succeeded(ports: Ports, live: Live) -> Iterator[Rollout]:
    """The rollouts that succeeded there and that no traffic went back from, the last first."""
    left: set[str] = set()  # by traffic that went back later
    newest = ports.ledger.query(
        application_partition(live.application), "RELEASE#", newest_first=True, limit=_OLDEST
    )
    for release in newest:
        if not isinstance(release, Release) or release.id in left:
            continue
        left.add(release.left)
        place = {"release_id": release.id, "stage": live.stage, "target": live.target}
        rollout = find(ports.ledger, Rollout, **place)
        if rollout and rollout.phase is RolloutPhase.SUCCEEDED:
            yield rollout


def _place(plan: ReleasePlan, live: Live) -> tuple[StagePlan, Target]:
    stage = plan.stage(live.stage)
    return stage, stage.target(live.target)


def _unfinished(ports: Ports, live: Live) -> Iterator[Rollout]:
    """The rollouts at this target that are under way, or that a person must still look at."""
    newest = ports.ledger.query(
        application_partition(live.application),
        "RELEASE#",
        newest_first=True,
        limit=_RECENT_RELEASES,
    )
    for release in newest:
        if isinstance(release, Release) and (
            not release.phase.over or release.phase is ReleasePhase.STUCK
        ):
            yield from (
                rollout
                for rollout in rollouts_of(ports.ledger, release.id)
                if (rollout.stage, rollout.target) == (live.stage, live.target)
            )


def _recorded(
    live: Live, rollouts: list[Rollout], alias: ManagedAlias, state: StackState
) -> set[int]:
    """The versions that the record refers to: what is live and good, and what is on its way."""
    name = state.resources[alias.function]
    versions = [version for key, version in live.versions.items() if key == f"{name}:{alias.alias}"]
    shifts = [shift for rollout in rollouts for shift in rollout.shifts if shift.function == name]
    return _numbers([*versions, *(v for shift in shifts for v in (shift.stable, shift.candidate))])


def _spare(
    world: TargetPorts, state: StackState, alias: ManagedAlias, keep: int, recorded: set[int]
) -> PrunedFunction:
    """What of this function nothing refers to.

    A version that is newer than any that the record knows may be in the making: of those the newest
    stay.
    """
    name = state.resources[alias.function]
    published = world.versions.published(name)
    needed = recorded | world.versions.in_use(name) | _of_stack(name, alias, state)
    known = max(recorded, default=0)
    newest = {version for version in published[-keep:] if version > known}
    spare = [version for version in published if version not in needed | newest]
    kept = [version for version in published if version not in spare]
    return PrunedFunction(function=name, spare=tuple(spare), kept=tuple(kept))


def _of_stack(function: str, alias: ManagedAlias, state: StackState) -> set[int]:
    """The versions that are the stack's own, and the one that its alias is pinned to."""
    arns = (arn for arn in state.resources.values() if f":function:{function}:" in arn)
    own = [arn.rpartition(":")[2] for arn in arns]
    return _numbers([*own, *pins_in_force([alias], state).values()])


def _numbers(versions: list[str]) -> set[int]:
    return {int(version) for version in versions if version.isdecimal()}


def _act(
    world: TargetPorts, functions: list[PrunedFunction], *, dry_run: bool, most: int
) -> Iterator[PrunedFunction]:
    """Delete the oldest first. A version that Lambda will not delete is left, and said."""
    for function in functions:
        if dry_run:
            yield function
            continue
        deleted, failed = _delete(world, function.function, function.spare[: max(0, most)])
        most -= len(deleted)
        yield function.model_copy(update={"deleted": tuple(deleted), "failed": failed})


def _delete(
    world: TargetPorts, function: str, versions: tuple[int, ...]
) -> tuple[list[int], Mapping[str, str]]:
    deleted, failed = [], {}
    for version in versions:
        try:
            world.versions.delete(function, version)
        except TidegateError as error:
            failed[str(version)] = str(error)
        else:
            deleted.append(version)
    return deleted, failed
