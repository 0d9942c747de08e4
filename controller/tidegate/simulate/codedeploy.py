"""CodeDeploy's presets with CloudWatch alarms, under virtual users of the same kind.

CodeDeploy compares no versions: it goes back when an alarm of the team fires. What it catches is up
to that alarm, so each preset is tried with a family of the alarms that people write.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from tidegate.core.model.plan import StrategyPlan
from tidegate.core.model.strategy import NAMED
from tidegate.simulate.rollouts import MINUTE, PUBLISHED_AFTER_SECONDS, Ending, Run, Scenario
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
class _Shift:
    """The minutes of the clock in which traffic shifts, and the parts of them at both ends."""

    ends: Sequence[float]  # seconds after the beginning
    rates: Sequence[Sequence[float]]  # for each scope, the share of requests that failed
    harmed: Sequence[float]  # until the beginning of each minute, and until the end


def run_preset(preset: StrategyPlan, scenario: Scenario, chance: random.Random) -> list[Run]:
    """Shift once, the same users under each of the alarms: a run for each of ``ALARMS``."""
    begin = chance.random() * scenario.profile.length_seconds
    shift = _serve(preset, scenario, chance, begin)
    over = shift.ends[-1]
    afterwards = scenario.excess * _requests(scenario, begin, over, scenario.horizon_seconds)
    promoted = Run(Ending.PROMOTED, over, shift.harmed[-1] + afterwards)
    fired = [minute for rates in shift.rates for minute in _first_firing(rates)]
    runs = {minute: _taken_back(minute, shift) or promoted for minute in set(fired)}
    return [runs[minute] for minute in fired]


def _taken_back(fired: int | None, shift: _Shift) -> Run | None:
    """The run when an alarm has its evidence with this minute; None when that comes too late."""
    if fired is None:
        return None
    published = fired + PUBLISHED_AFTER_SECONDS // MINUTE
    if published >= len(shift.ends) - 1:
        return None
    return Run(Ending.CAUGHT, shift.ends[published], shift.harmed[published + 1])


def _serve(preset: StrategyPlan, scenario: Scenario, chance: random.Random, begin: float) -> _Shift:
    """Let users come until all steps are over."""
    fails, stable_fails, excess = (
        scenario.candidate_error_rate,
        scenario.profile.error_rate,
        scenario.excess,
    )
    ends, of_alias, of_version, harmed = [0.0], list[float](), list[float](), [0.0]
    for end, on_stable, on_candidate in _expected(preset, scenario, begin):
        failed = poisson(chance, on_candidate * fails)
        served = failed + poisson(chance, on_candidate * (1 - fails))
        all_failed = failed + poisson(chance, on_stable * stable_fails)
        all_served = served + all_failed - failed + poisson(chance, on_stable * (1 - stable_fails))
        of_alias.append(all_failed / all_served if all_served else 0.0)
        of_version.append(failed / served if served else 0.0)
        counts = ends[-1] < scenario.horizon_seconds
        harmed.append(harmed[-1] + (on_candidate * excess if counts else 0.0))
        ends.append(end)
    return _Shift(ends[1:], (of_alias, of_version), harmed)  # in the order of Scope


def _expected(
    preset: StrategyPlan, scenario: Scenario, begin: float
) -> Iterator[tuple[float, float, float]]:
    """The end of each minute, and the requests to expect until then, to stable and candidate."""
    steps = iter(preset.steps)
    step, step_end, start = next(steps), 0.0, 0.0
    step_end += step.bake_seconds
    over = sum(one.bake_seconds for one in preset.steps)
    for end in _minute_ends(begin, over):
        on_all = on_candidate = 0.0
        while start < end:
            until = min(end, step_end)
            requests = _requests(scenario, begin, start, until)
            on_all += requests
            on_candidate += step.weight * requests
            start = until
            if until == step_end < over:
                step = next(steps)
                step_end += step.bake_seconds
        yield end, on_all - on_candidate, on_candidate


def _minute_ends(begin: float, length: float) -> Iterator[float]:
    """The ends of the minutes of the clock, in seconds after the beginning of the shift."""
    end = MINUTE - begin % MINUTE
    while end < length:
        yield end
        end += MINUTE
    yield length


def _requests(scenario: Scenario, begin: float, start: float, end: float) -> float:
    return scenario.profile.expected(begin + start, begin + end) if start < end else 0.0


def _first_firing(rates: Sequence[float]) -> Iterator[int | None]:
    """With which minute each alarm of a scope fires first, in their order; None: it never does."""
    highest = max(rates)
    for level in _RATES:
        found = dict.fromkeys(_MINUTES) if highest <= level else _first_streaks(rates, level)
        yield from found.values()


def _first_streaks(rates: Sequence[float], level: float) -> dict[int, int | None]:
    """The last minute of the first streak above the level, for each length of ``_MINUTES``."""
    found = dict[int, int | None].fromkeys(_MINUTES)
    streak = longest = 0
    for minute, rate in enumerate(rates):
        streak = streak + 1 if rate > level else 0
        if streak > longest:
            longest = streak
            if streak in found:
                found[streak] = minute
                if streak == _MINUTES[-1]:
                    break
    return found
