"""CodeDeploy's presets with CloudWatch alarms, under virtual users of the same kind.

CodeDeploy compares no versions: it goes back when an alarm of the team fires. What it catches is up
to that alarm, so each preset is tried with a family of the alarms that people write.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, product

from tidegate.core.plan import StrategyPlan
from tidegate.core.strategy import NAMED
from tidegate.simulate.rollouts import MINUTE, PUBLISHED_AFTER_SECONDS, Course, Ending, Run
from tidegate.simulate.traffic import poisson

PRESETS = tuple(
    StrategyPlan(name=name, steps=steps)
    for name, steps in NAMED.items()
    if "Lambda" not in name and steps
)


class Scope(StrEnum):
    """What an alarm counts."""

    ALIAS = "alias"  # all users' requests
    VERSION = "new version"  # by the dimension ExecutedVersion


_ANY = 0.0
_RATES = (_ANY, 0.01, 0.02, 0.05, 0.1)
_MINUTES = (1, 2, 3, 5)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Fires when more than this share failed in each of so many minutes in a row."""

    scope: Scope
    rate: float  # 0: any error
    minutes: int

    def __str__(self) -> str:
        errors = "any error" if self.rate == _ANY else f"errors above {self.rate:.0%}"
        return f"{errors} of the {self.scope}, {self.minutes} min"


ALARMS = tuple(Alarm(*variant) for variant in product(Scope, _RATES, _MINUTES))


@dataclass(frozen=True, slots=True)
class _Minute:
    """A minute of the clock, or the part of it that lies in the shift."""

    end: float  # seconds after the beginning of the shift
    rates: dict[Scope, float]  # share of requests that failed
    harm: float


def run_preset(preset: StrategyPlan, course: Course, chance: random.Random) -> dict[Alarm, Run]:
    """Shift once, the same users under each of the alarms."""
    begin = chance.random() * course.profile.length_seconds
    over = sum(step.bake_seconds for step in preset.steps)
    ends = list(_minute_ends(begin, over))
    minutes = [
        _serve(preset, course, chance, (begin, start, end))
        for start, end in zip([0.0, *ends], ends, strict=False)
    ]
    harmed = [0.0, *accumulate(minute.harm for minute in minutes)]
    afterwards = course.excess * _requests(course, begin, over, course.horizon_seconds)
    promoted = Run(Ending.PROMOTED, over, harmed[-1] + afterwards)
    fired = _first_firing(minutes)
    return {
        alarm: _taken_back(fired[alarm], ends, harmed) or promoted if alarm in fired else promoted
        for alarm in ALARMS
    }


def _taken_back(fired: int, ends: Sequence[float], harmed: Sequence[float]) -> Run | None:
    """The run when an alarm has its evidence with this minute; None when that comes too late."""
    published = fired + PUBLISHED_AFTER_SECONDS // MINUTE
    if published >= len(ends) - 1:
        return None
    return Run(Ending.CAUGHT, ends[published], harmed[published + 1])


def _minute_ends(begin: float, length: float) -> Iterator[float]:
    """The ends of the minutes of the clock, in seconds after the beginning of the shift."""
    end = MINUTE - begin % MINUTE
    while end < length:
        yield end
        end += MINUTE
    yield length


def _serve(
    preset: StrategyPlan,
    course: Course,
    chance: random.Random,
    span: tuple[float, float, float],
) -> _Minute:
    begin, start, end = span
    on_candidate = _candidate_requests(preset, course, begin, start, end)
    on_stable = max(0.0, _requests(course, begin, start, end) - on_candidate)
    failed = poisson(chance, on_candidate * course.candidate_error_rate)
    served = failed + poisson(chance, on_candidate * (1 - course.candidate_error_rate))
    all_failed = failed + poisson(chance, on_stable * course.profile.error_rate)
    all_served = (
        served + all_failed - failed + poisson(chance, on_stable * (1 - course.profile.error_rate))
    )
    counts = start < course.horizon_seconds
    return _Minute(
        end=end,
        rates={
            Scope.ALIAS: all_failed / all_served if all_served else 0.0,
            Scope.VERSION: failed / served if served else 0.0,
        },
        harm=on_candidate * course.excess if counts else 0.0,
    )


def _candidate_requests(
    preset: StrategyPlan, course: Course, begin: float, start: float, end: float
) -> float:
    """The expected requests to the candidate between two moments of the bakes."""
    total, step_start = 0.0, 0.0
    for step in preset.steps:
        step_end = step_start + step.bake_seconds
        total += step.weight * _requests(course, begin, max(start, step_start), min(end, step_end))
        step_start = step_end
    return total


def _requests(course: Course, begin: float, start: float, end: float) -> float:
    return course.profile.expected(begin + start, begin + end) if start < end else 0.0


def _first_firing(minutes: Sequence[_Minute]) -> dict[Alarm, int]:
    """With which minute each alarm fires first; none for those that never do."""
    found: dict[Alarm, int] = {}
    for scope, length in product(Scope, _MINUTES):
        rates = [minute.rates[scope] for minute in minutes]
        waiting = iter(_RATES)
        rate = next(waiting, None)
        for last in range(length - 1, len(rates)):
            lowest = min(rates[last - length + 1 : last + 1])
            while rate is not None and lowest > rate:
                found[Alarm(scope, rate, length)] = last
                rate = next(waiting, None)
    return found
