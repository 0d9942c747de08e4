"""One virtual rollout: the product's own judge and decide, with a virtual clock and users.

Arrivals are Poisson, so failures and successes of both versions are independent Poisson counts. A
minute is published when another minute has passed, as CloudWatch does.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from tidegate.core.decision.evaluation import Evaluation, Policy, evaluate, moved
from tidegate.core.decision.next_move import Hold, Promote, Restore, SetWeight
from tidegate.core.model.plan import ProbePlan
from tidegate.core.model.record import Judgement, Rollout, RolloutPhase
from tidegate.core.ports import AliasRef, Bin, Counts, Observation, Pair, PairBins
from tidegate.simulate.traffic import Profile, poisson

MINUTE = 60
EVALUATION_SECONDS = 60
BASELINE_SECONDS = 60 * MINUTE  # of traffic that is known before the shift
PUBLISHED_AFTER_SECONDS = 60  # from the end of a minute

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_NONE = Counts()
_PAIR = Pair(AliasRef("function", "live"), "1", "2")


class Ending(StrEnum):
    """How a virtual rollout ended."""

    CAUGHT = "caught"  # taken back, because it was judged to be worse
    GIVEN_UP = "given-up"  # taken back, because there was too little to judge
    PROMOTED = "promoted"
    UNDER_WAY = "under-way"  # when the simulation ended


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one virtual rollout."""

    ending: Ending
    seconds: float  # until it ended
    harmed: float  # user requests that failed and would not have failed on stable


@dataclass(frozen=True, slots=True)
class Scenario:
    """What all runs of a simulation share."""

    profile: Profile
    candidate_error_rate: float
    horizon_seconds: int = 60 * MINUTE  # harm is counted until then
    longest_seconds: int = 4 * 60 * MINUTE  # a rollout that takes longer is cut off

    @property
    def excess(self) -> float:
        """The share of requests that the candidate fails and stable would not."""
        return max(0.0, self.candidate_error_rate - self.profile.error_rate)


class VirtualUsers:
    """Requests minute by minute, as the weight splits them, from a random moment of the profile."""

    def __init__(self, scenario: Scenario, chance: random.Random) -> None:
        self._course = scenario
        self._chance = chance
        # The traffic before the shift is known too.
        self._begin = BASELINE_SECONDS + chance.random() * scenario.profile.length_seconds
        self._minutes: dict[int, tuple[Counts, Counts]] = {}  # not published yet, oldest first
        self._published: list[Bin] = []
        self._before = self._counts(
            scenario.profile.expected(self._begin - BASELINE_SECONDS, self._begin),
            scenario.profile.error_rate,
        )
        self._passed = 0.0
        self._probes: list[Bin] = []
        self.harmed = 0.0  # expected, within the horizon

    def serve(self, weight: float, until: float) -> None:
        """Let users come until so many seconds after the beginning of the shift."""
        while self._passed < until:
            minute = int((self._begin + self._passed) // MINUTE)
            end = min(until, (minute + 1) * MINUTE - self._begin)
            # A minute that ends here must not be begun again because of a rounding error.
            end = end if end > self._passed else min(until, self._passed + MINUTE)
            self._serve(minute, weight, end)
            self._passed = end

    def probe(self, now: float, plan: ProbePlan) -> None:
        """Send probes to both versions; they harm nobody, and are known at once."""
        stable = self._probed(plan.per_minute, self._course.profile.error_rate)
        candidate = self._probed(plan.per_minute, self._course.candidate_error_rate)
        self._probes.append(Bin(_BEGIN + timedelta(seconds=now), stable, candidate))

    def promote(self) -> None:
        """Let the candidate have all traffic until the horizon."""
        self._harm(1.0, self._course.horizon_seconds)

    def observe(self, now: float) -> Observation:
        """What is published so many seconds after the beginning."""
        last = (self._begin + now - PUBLISHED_AFTER_SECONDS) // MINUTE
        while self._minutes and (minute := next(iter(self._minutes))) < last:
            start = _BEGIN + timedelta(seconds=minute * MINUTE - self._begin)
            self._published.append(Bin(start, *self._minutes.pop(minute)))
        return Observation(
            pairs=(PairBins(_PAIR, tuple(self._published), before=self._before),),
            probes=(PairBins(_PAIR, tuple(self._probes)),) if self._probes else (),
            requests_per_second=self._before.invocations / BASELINE_SECONDS,
        )

    def _serve(self, minute: int, weight: float, end: float) -> None:
        profile = self._course.profile
        requests = profile.expected(self._begin + self._passed, self._begin + end)
        stable, candidate = self._minutes.get(minute, (_NONE, _NONE))
        self._minutes[minute] = (
            stable + self._counts(requests * (1 - weight), profile.error_rate),
            candidate + self._counts(requests * weight, self._course.candidate_error_rate),
        )
        self._harm(weight, end)

    def _harm(self, weight: float, end: float) -> None:
        end = min(end, self._course.horizon_seconds)
        if end > self._passed:
            requests = self._course.profile.expected(self._begin + self._passed, self._begin + end)
            self.harmed += requests * weight * self._course.excess

    def _probed(self, count: int, error_rate: float) -> Counts:
        return Counts(count, sum(self._chance.random() < error_rate for _ in range(count)))

    def _counts(self, expected: float, error_rate: float) -> Counts:
        errors = poisson(self._chance, expected * error_rate)
        return Counts(errors + poisson(self._chance, expected * (1 - error_rate)), errors)


def run_rollout(policy: Policy, scenario: Scenario, chance: random.Random) -> Run:
    """Shift once, until it is promoted or taken back, or the simulation ends."""
    users = VirtualUsers(scenario, chance)
    rollout = Rollout(
        release_id="virtual-1",
        stage="virtual",
        target="virtual",
        phase=RolloutPhase.SHIFTING,
        started_at=_BEGIN,
    )
    passed = 0.0
    while passed < scenario.longest_seconds:
        now = _BEGIN + timedelta(seconds=passed)
        evaluation = Evaluation(rollout, users.observe(passed), (), now)
        verdict, action = evaluate(policy, evaluation)
        match action:
            case Promote():
                users.promote()
                return Run(Ending.PROMOTED, passed, users.harmed)
            case Restore():
                worse = verdict.judgement is Judgement.UNHEALTHY
                return Run(Ending.CAUGHT if worse else Ending.GIVEN_UP, passed, users.harmed)
        rollout = rollout.model_copy(update=moved(evaluation, verdict, action))
        probes = policy.checks.errors.probe
        if isinstance(action, Hold) and action.probe and probes:
            users.probe(passed, probes)
        passed += _wait(action)
        users.serve(rollout.weight, passed)
    return Run(Ending.UNDER_WAY, passed, users.harmed)


def _wait(action: SetWeight | Hold) -> float:
    wait = action.bake if isinstance(action, SetWeight) else action.wait
    return max(1.0, min(wait.total_seconds(), EVALUATION_SECONDS))
