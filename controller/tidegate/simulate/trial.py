"""A simulation: many virtual rollouts of a policy and of CodeDeploy's presets, and their sum."""

from __future__ import annotations

import math
import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context

from tidegate.core.decision.evaluation import Policy
from tidegate.core.model.base import Model
from tidegate.core.model.plan import Checks, StrategyPlan
from tidegate.simulate.codedeploy import ALARMS, PRESETS, run_preset
from tidegate.simulate.rollouts import MINUTE, Ending, Run, Scenario, run_rollout
from tidegate.simulate.traffic import Profile, Regression

OURS = "tidegate"
FALSE_ROLLBACKS = 0.01  # an alarm that fires more often on healthy releases would be switched off

_CHUNK = 50  # runs that a process takes at once


@dataclass
class Tally:
    """What came of many runs. Sums, so that the tallies of several processes can be added."""

    runs: int = 0
    harmed: float = 0.0
    harmed_squares: float = 0.0
    endings: Counter[tuple[Ending, int]] = field(default_factory=Counter)  # with whole minutes

    def add(self, run: Run) -> None:
        """Count one run."""
        self.runs += 1
        self.harmed += run.harmed
        self.harmed_squares += run.harmed**2
        self.endings[run.ending, math.ceil(run.seconds / MINUTE)] += 1

    def merge(self, other: Tally) -> None:
        """Count the runs of another process."""
        self.runs += other.runs
        self.harmed += other.harmed
        self.harmed_squares += other.harmed_squares
        self.endings.update(other.endings)

    def minutes(self, ending: Ending) -> Counter[int]:
        """When the runs that ended so did, in whole minutes."""
        return Counter({at: count for (how, at), count in self.endings.items() if how is ending})

    def share(self, ending: Ending) -> float:
        """The share of the runs that ended so."""
        return self.minutes(ending).total() / self.runs

    def quantile(self, ending: Ending, share: float) -> int | None:
        """The minute by which this share of the runs that ended so had ended."""
        counted = self.minutes(ending)
        wanted, seen = share * counted.total(), 0
        for minute in sorted(counted):
            seen += counted[minute]
            if seen >= wanted:
                return minute
        return None


class Outcome(Model):
    """What one policy did with releases of one kind."""

    policy: str  # "tidegate", or the name of a preset
    alarm: str = ""  # of a preset: the best one
    caught: float  # share of the runs that were taken back because they were worse
    given_up: float = 0.0  # share that was taken back for want of traffic
    promoted: float
    minutes_to_catch: int | None = None  # median
    minutes_to_catch_p90: int | None = None
    minutes_to_promote: int | None = None  # median
    harmed: float  # mean number of users' requests within the horizon
    harmed_error: float  # its standard error
    caught_by_minute: tuple[float, ...] = ()  # share of all runs that was caught by then


class Finding(Model):
    """All policies under one kind of release."""

    regression: str  # "none" is a healthy release
    candidate_error_rate: float
    outcomes: tuple[Outcome, ...]  # ours first

    @property
    def ours(self) -> Outcome:
        """What the manifest's policy did."""
        return self.outcomes[0]

    @property
    def best_preset(self) -> Outcome:
        """The preset, with its best alarm, that harmed the fewest users."""
        return min(self.outcomes[1:], key=lambda outcome: outcome.harmed)


class Report(Model):
    """What a simulation found."""

    stage: str
    strategy: str
    profile: Profile
    runs: int  # of each policy under each kind of release
    seed: int
    horizon_minutes: int
    taken_for_well: tuple[str, ...] = ()  # checks that virtual users have no data for
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Trial:
    """What is to be simulated."""

    policy: Policy
    profile: Profile
    regressions: Sequence[Regression]
    runs: int = 1000
    seed: int = 1
    horizon_seconds: int = 60 * MINUTE

    def scenario(self, regression: Regression) -> Scenario:
        """The course of the runs with this regression."""
        rate = regression.error_rate(self.profile.error_rate)
        return Scenario(self.profile, rate, self.horizon_seconds)


@dataclass(frozen=True)
class _Task:
    """Some runs for one process: of the policy, or of a preset."""

    subject: Policy | StrategyPlan
    scenario: Scenario
    name: str  # of policy and regression; with seed and number it makes the run's chance
    seed: int
    numbers: range

    def run(self) -> list[Tally]:
        """A tally for each of ``ALARMS`` of a preset, one of the policy."""
        tallies = [Tally() for _ in (ALARMS if isinstance(self.subject, StrategyPlan) else [None])]
        for number in self.numbers:
            # A seed for each run: the result does not depend on how many processes there are.
            chance = random.Random(f"{self.seed}/{self.name}/{number}")
            for tally, run in zip(tallies, self._runs(chance), strict=True):
                tally.add(run)
        return tallies

    def _runs(self, chance: random.Random) -> list[Run]:
        if isinstance(self.subject, Policy):
            return [run_rollout(self.subject, self.scenario, chance)]
        return run_preset(self.subject, self.scenario, chance)


_Key = tuple[str, int]  # policy, index of the regression; the first one is healthy
_Tallies = dict[_Key, list[Tally]]  # of each of ``ALARMS``, or of the policy alone


def simulate(trial: Trial, stage: str = "", processes: int | None = None) -> Report:
    """Run everything, on as many processes as there are cores unless told otherwise."""
    regressions = [Regression(), *(one for one in trial.regressions if one != Regression())]
    tallies: _Tallies = {}
    tasks = list(_tasks(trial, regressions))
    for (key, _), found in zip(tasks, _run_all([t for _, t in tasks], processes), strict=True):
        for tally, more in zip(
            tallies.setdefault(key, [Tally() for _ in found]), found, strict=True
        ):
            tally.merge(more)
    alarms = {p.name: _best_alarm(p.name, len(regressions), tallies) for p in PRESETS}
    return Report(
        stage=stage,
        strategy=trial.policy.strategy.name,
        profile=trial.profile,
        runs=trial.runs,
        seed=trial.seed,
        horizon_minutes=trial.horizon_seconds // MINUTE,
        taken_for_well=_left_out(trial.policy.checks),
        findings=tuple(
            _finding(trial, index, regression, tallies, alarms)
            for index, regression in enumerate(regressions)
        ),
    )


def _tasks(trial: Trial, regressions: Sequence[Regression]) -> Iterator[tuple[_Key, _Task]]:
    subjects: dict[str, Policy | StrategyPlan] = {OURS: _as_simulated(trial.policy)}
    subjects |= {preset.name: preset for preset in PRESETS}
    for index, regression in enumerate(regressions):
        for name, subject in subjects.items():
            for begin in range(0, trial.runs, _CHUNK):
                numbers = range(begin, min(begin + _CHUNK, trial.runs))
                label = f"{name}/{regression}"
                task = _Task(subject, trial.scenario(regression), label, trial.seed, numbers)
                yield (name, index), task


def _as_simulated(policy: Policy) -> Policy:
    """Virtual users only fail: what else is checked is well, and keeps its share of alpha."""
    checks = policy.checks
    return replace(policy, checks=Checks(errors=checks.errors, alpha=checks.alpha / checks.tests))


def _left_out(checks: Checks) -> tuple[str, ...]:
    """What virtual users do not have, and is taken for well."""
    durations = ("durations",) if checks.latency else ()
    metrics = (*(one.name for one in checks.compared), *(one.query.name for one in checks.metrics))
    return (*durations, *metrics, *checks.alarms)


def _run_all(tasks: Sequence[_Task], processes: int | None) -> Iterator[list[Tally]]:
    workers = processes or len(os.sched_getaffinity(0))
    if workers == 1:
        yield from map(_Task.run, tasks)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_Task.run, tasks)


def _finding(
    trial: Trial, index: int, regression: Regression, tallies: _Tallies, alarms: Mapping[str, int]
) -> Finding:
    outcomes = [_outcome(OURS, "", tallies[OURS, index][0])]
    outcomes += [
        _outcome(preset, str(ALARMS[alarm]), tallies[preset, index][alarm])
        for preset, alarm in alarms.items()
    ]
    return Finding(
        regression=str(regression),
        candidate_error_rate=regression.error_rate(trial.profile.error_rate),
        outcomes=tuple(outcomes),
    )


def _best_alarm(preset: str, regressions: int, tallies: _Tallies) -> int:
    """The alarm that spares most users over all regressions, of those that seldom fire without one.

    By its index in ``ALARMS``. It is one alarm for all of them: nobody knows beforehand how a
    release will fail.
    """
    false = [tally.share(Ending.CAUGHT) for tally in tallies[preset, 0]]

    def harm(alarm: int) -> float:
        return sum(
            math.log1p(tallies[preset, index][alarm].harmed) for index in range(1, regressions)
        )

    allowed = max(min(false), FALSE_ROLLBACKS)
    return min((alarm for alarm, share in enumerate(false) if share <= allowed), key=harm)


def _outcome(policy: str, alarm: str, tally: Tally) -> Outcome:
    mean = tally.harmed / tally.runs
    variance = max(0.0, tally.harmed_squares / tally.runs - mean**2)
    caught = tally.minutes(Ending.CAUGHT)
    return Outcome(
        policy=policy,
        alarm=alarm,
        caught=tally.share(Ending.CAUGHT),
        given_up=tally.share(Ending.GIVEN_UP),
        promoted=tally.share(Ending.PROMOTED),
        minutes_to_catch=tally.quantile(Ending.CAUGHT, 0.5),
        minutes_to_catch_p90=tally.quantile(Ending.CAUGHT, 0.9),
        minutes_to_promote=tally.quantile(Ending.PROMOTED, 0.5),
        harmed=mean,
        harmed_error=math.sqrt(variance / tally.runs),
        caught_by_minute=tuple(_cumulative(caught, tally.runs)),
    )


def _cumulative(minutes: Counter[int], runs: int) -> Iterator[float]:
    seen = 0
    for minute in range(max(minutes, default=-1) + 1):
        seen += minutes[minute]
        yield seen / runs
