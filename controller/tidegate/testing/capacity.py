"""Provisioned concurrency in memory: ready when it was looked at, one for each version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.core.errors import NotFound, ServiceUnavailable, WarmUpFailed
from tidegate.core.ports import AliasRef, Allocation, VersionState, Warmth
from tidegate.testing.functions import MemoryFunctions

_Place = tuple[str, str]  # function, and version or name of the alias


@dataclass
class MemoryCapacity:
    """Allocations that are in progress for ``polls`` polls; versions that are active, or not yet.

    ``failing`` maps versions to why what is allocated to them fails, ``limits`` functions to what
    they may have in all, ``sleeping`` versions to how many polls they take to become active, and
    ``broken`` to why they never will.
    """

    functions: MemoryFunctions
    polls: int = 1
    failing: dict[_Place, str] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    sleeping: dict[_Place, int] = field(default_factory=dict)
    broken: dict[_Place, str] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)  # that a function ever had, in all

    def __post_init__(self) -> None:
        self._asked: dict[_Place, int] = {}
        self._polls_left: dict[_Place, int] = {}

    def allocations(self, function: str) -> Mapping[str, Allocation]:
        """Each look brings what is in progress nearer to its end."""
        self.functions.last_version(function)
        return {place[1]: self._look(place) for place in self._places(function)}

    def allocate(self, function: str, qualifier: str, executions: int) -> None:
        """Begin, where Lambda would."""
        self._check(function, qualifier)
        place = (function, qualifier)
        others = sum(self._asked[p] for p in self._places(function) if p != place)
        if others + executions > self.limits.get(function, others + executions):
            raise WarmUpFailed(f"{function} may have {self.limits[function]} in all.")
        if self._asked.get(place) != executions:
            self._asked[place] = executions
            self._polls_left[place] = self.polls
        self.most[function] = max(self.most.get(function, 0), others + executions)

    def release(self, function: str, qualifier: str) -> None:
        """Forget it."""
        self._asked.pop((function, qualifier), None)

    def version(self, function: str, version: str) -> VersionState:
        """Each look brings a version nearer to being active."""
        self.functions.check_version(function, version)
        place = (function, version)
        if place in self.broken:
            return VersionState(active=False, failed=True, reason=self.broken[place])
        left = self.sleeping.get(place, 0)
        self.sleeping[place] = left - 1
        return VersionState(active=left <= 0, reason="Creating" if left > 0 else "")

    def asked(self, function: str) -> dict[str, int]:
        """What is allocated, without a look."""
        return {place[1]: self._asked[place] for place in self._places(function)}

    def _places(self, function: str) -> list[_Place]:
        return sorted(place for place in self._asked if place[0] == function)

    def _look(self, place: _Place) -> Allocation:
        executions = self._asked[place]
        if place in self.failing:
            return Allocation(executions, Warmth.FAILED, self.failing[place])
        left = self._polls_left[place]
        self._polls_left[place] = left - 1
        return Allocation(executions, Warmth.IN_PROGRESS if left > 0 else Warmth.READY)

    def _check(self, function: str, qualifier: str) -> None:
        """One for each version, of its own or of an alias; none of an alias with weights."""
        if qualifier.isdecimal():
            self.functions.check_version(function, qualifier)
            if any(
                (function, ref.alias) in self._asked
                for ref, state in self.functions.aliases.all().items()
                if ref.function == function and state.version == qualifier
            ):
                raise ServiceUnavailable("Version is pointed by a Provisioned Concurrency alias.")
            return
        state = self.functions.aliases.all().get(AliasRef(function, qualifier))
        if state is None:
            raise NotFound(f"{function} has no alias {qualifier}.")
        if state.routes:
            raise WarmUpFailed("Alias with weights can not be used with Provisioned Concurrency.")
        if (function, state.version) in self._asked:
            raise ServiceUnavailable("The alias's version is provisioned already.")
