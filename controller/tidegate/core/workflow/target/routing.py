"""What an alias must look like at a weight, and bringing it there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import isclose

from tidegate.core.model.plan import ManagedAlias
from tidegate.core.model.record import Shift
from tidegate.core.ports import Aliases, AliasRef, AliasState, StackState


@dataclass(frozen=True, slots=True)
class Routing:
    """The version that gets the residual traffic, and the weight of the other one, if any."""

    version: str
    routes: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        weighted = [f"{weight:.4%} to version {v}" for v, weight in self.routes.items()]
        return " and ".join([f"version {self.version}", *weighted])


def routing(shift: Shift, weight: float) -> Routing:
    """The alias when the candidate has this weight, 0 to 1."""
    if weight <= 0.0:
        return Routing(shift.stable)
    if weight >= 1.0:
        return Routing(shift.candidate)
    return Routing(shift.stable, {shift.candidate: weight})


def routing_of(state: AliasState) -> Routing:
    """The alias as it is. A weight of zero, or of the version on itself, routes nothing."""
    routes = {v: w for v, w in state.routes.items() if w > 0.0 and v != state.version}
    return Routing(state.version, routes)


def same(one: Routing, other: Routing) -> bool:
    """Both send the same traffic to the same versions."""
    return (
        one.version == other.version
        and one.routes.keys() == other.routes.keys()
        and all(isclose(one.routes[v], other.routes[v], abs_tol=1e-6) for v in one.routes)
    )


def alias_ref(alias: ManagedAlias, state: StackState) -> AliasRef:
    """The alias by its physical names. Raises ``KeyError`` when the stack lacks its function."""
    return AliasRef(state.resources[alias.function], alias.alias)


def alias_of(shift: Shift) -> AliasRef:
    """The alias that moves."""
    return AliasRef(shift.function, shift.alias)


def changed_by_others(
    aliases: Aliases, shifts: Iterable[Shift], weights: Iterable[float]
) -> list[str]:
    """The aliases that are at none of these weights, each with what was found and expected."""
    allowed = sorted(set(weights))
    found = ((shift, routing_of(aliases.read(alias_of(shift)))) for shift in shifts)
    return [
        describe_change_by_others(shift, state, [routing(shift, weight) for weight in allowed])
        for shift, state in found
        if not any(same(state, routing(shift, weight)) for weight in allowed)
    ]


def describe_change_by_others(shift: Shift, found: Routing, expected: Iterable[Routing]) -> str:
    """The sentence that names the alias, what was found, and what was expected."""
    wanted = " or ".join(str(routing) for routing in expected)
    return f"{shift.function}:{shift.alias} serves {found}, expected {wanted}"


def apply_weight(
    aliases: Aliases, shift: Shift, weight: float, may_write: Callable[[], None] = lambda: None
) -> str:
    """Write the alias, unless it is there already, and return its revision there.

    Raises ``AliasConflict``.

    ``may_write`` is asked between the read and the write, and raises when it may not: whoever
    changes the answer and then writes the alias makes this write a conflict.
    """
    wanted = routing(shift, weight)
    state = aliases.read(alias_of(shift))
    if state.version == wanted.version and dict(state.routes) == dict(wanted.routes):
        return state.revision
    may_write()
    return write(aliases, shift, weight, state.revision)


def write(aliases: Aliases, shift: Shift, weight: float, revision: str) -> str:
    """Write the alias in one call, if it still has this revision, and return the new one.

    Raises ``AliasConflict``.
    """
    wanted = routing(shift, weight)
    written = aliases.write(
        alias_of(shift),
        version=wanted.version,
        routes=wanted.routes,
        expected_revision=revision,
    )
    return written.revision


def restore_alias(
    aliases: Aliases,
    shift: Shift,
    weight: float,
    may_write: Callable[[], None] = lambda: None,
    *,
    rewrite: bool = False,
) -> str:
    """Bring the alias from wherever it is between its two versions, and say "".

    One that serves another version is not ours: it is left alone, and the sentence says so.
    ``rewrite`` writes even what is there already, so that a write on its way is a conflict.
    """
    state = aliases.read(alias_of(shift))
    found, wanted = routing_of(state), routing(shift, weight)
    if not {found.version, *found.routes} <= {shift.stable, shift.candidate}:
        return describe_change_by_others(shift, found, [wanted])
    there = state.version == wanted.version and dict(state.routes) == dict(wanted.routes)
    if rewrite or not there:
        may_write()
        write(aliases, shift, weight, state.revision)
    return ""
