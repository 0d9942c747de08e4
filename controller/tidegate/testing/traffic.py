"""Users of an application whose release is tested: how often they ask, and how often that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

Rate = float | Callable[[float], float]
"""A share such as 0.1, or what gives one for the weight that the candidate has."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Steady requests to every function that shifts.

    With ``payloads`` the functions of the test are run, each payload as often as the others, and
    one that raises has failed; without, the shares of errors are taken as they are given. An alarm
    of the manifest fires once the candidate has the weight that ``alarms_from`` says.
    """

    requests_per_second: float = 10.0
    candidate_errors: Rate = 0.0
    stable_errors: Rate = 0.0
    payloads: Sequence[Any] = ()
    alarms_from: Mapping[str, float] = field(default_factory=dict)
    durations_ms: Sequence[float] = (80.0, 90.0, 100.0, 110.0, 120.0)
    """How long requests take, in turn, in milliseconds: what ``checks.latency`` compares."""
    candidate_slower: Rate = 0.0
    """How much longer the candidate takes: 0.5 is half as long again."""

    def requests(self, seconds: float, weight: float) -> tuple[int, int]:
        """How many requests the stable version and the candidate get."""
        total = round(self.requests_per_second * seconds)
        to_candidate = round(total * weight)
        return total - to_candidate, to_candidate

    def share_failing(self, *, candidate: bool, weight: float) -> float:
        """What share of a version's requests fails."""
        rate = self.candidate_errors if candidate else self.stable_errors
        return _at(rate, weight)

    def durations(self, requests: int, *, candidate: bool, weight: float) -> Iterator[float]:
        """How long each of so many requests to a version takes, in milliseconds."""
        factor = 1 + (_at(self.candidate_slower, weight) if candidate else 0)
        return (ms * factor for ms in islice(cycle(self.durations_ms), requests))


def _at(rate: Rate, weight: float) -> float:
    return rate(weight) if callable(rate) else rate
