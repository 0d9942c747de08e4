"""One run: a scenario with its faults, watched, judged, and followed by a release without any."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from faults.invariants import Witness
from faults.scenarios import SCENARIOS, agree
from support.story import PROD, TEST, Story
from tidegate.core.errors import TidegateError
from tidegate.core.model.record import Execution, Lock, Release, application_partition
from tidegate.core.workflow.guardian.guard import guard
from tidegate.core.workflow.records import find
from tidegate.testing.faults import Fault, Faults, Stopped, possible_faults
from tidegate.testing.retries import Crash

PASSES_WITHIN: Final = 600  # seconds: what does calls no person
_GUARDIAN_RUNS: Final = 30
_SCHEDULE_SECONDS: Final = 60
_FAR: Final = 0.4  # how often the later of several faults may be anywhere
_CLOSE: Final = 20  # calls, else


class End(StrEnum):
    """How a run ended."""

    CONVERGED = "converged"
    STUCK = "stuck-and-said-so"  # and what hinders it does not pass by itself
    BROKEN = "invariant-broken"


@dataclass(frozen=True)
class Run:
    """A scenario, and the faults that befall it."""

    scenario: str
    faults: tuple[Fault, ...] = ()

    @property
    def needs_a_person(self) -> str:
        """What does not pass within minutes; "" when nobody is to be called."""
        scenario = SCENARIOS.get(self.scenario)
        lasts = sum(fault.lasts for fault in self.faults)
        if scenario and scenario.needs_a_person:
            return "CloudFormation could not take the stack back"
        if math.isinf(lasts):
            return "a call is denied until somebody permits it"
        return "several faults last for more than ten minutes" if lasts > PASSES_WITHIN else ""

    def __str__(self) -> str:
        return f"{self.scenario} {' '.join(map(str, self.faults))}".strip()


@dataclass(frozen=True)
class Report:
    """A run with its end: what was broken, what happened, and the calls that were made."""

    run: Run
    end: End
    phase: str
    broken: tuple[str, ...]
    happened: tuple[str, ...]
    calls: tuple[str, ...]


def perform(run: Run) -> Report:
    """Run it and judge it. What converged must let the next release through."""
    scenario = SCENARIOS[run.scenario]
    story = scenario.story()
    witness = Witness(story, scenario.targets)
    faults = Faults(run.faults, story.world.clock)
    faults.before_call.append(witness.hear)
    story.machines.ports = faults.wrap(story.ports)
    if scenario.act:
        phase = by_hand(story, scenario.act)
    else:
        phase = release(story, scenario.code, scenario.role)
    leave_to_the_guardian(story, faults)
    faults.deliver_all()
    return report(run, story, witness, faults, phase)


def report(run: Run, story: Story, witness: Witness, faults: Faults, phase: str) -> Report:
    """Judge what has ended; what converged must let the next release through."""
    broken = witness.judge()
    if not broken and witness.stuck and not run.needs_a_person:
        broken = ["a person is called for what passes within ten minutes"]
    elif not broken and not witness.stuck:
        broken = the_next_release_goes_through(story)
    end = End.BROKEN if broken else End.STUCK if witness.stuck else End.CONVERGED
    return Report(run, end, phase, tuple(broken), tuple(faults.happened), tuple(faults.calls))


def by_hand(story: Story, act: Callable[[Story], None]) -> str:
    """What an operator does without a release."""
    with suppress(Stopped):
        act(story)
    story.world.executions.ended["rollback-now:hello-3"] = ""
    return "by hand"


def release(story: Story, code: str, role: str = "role") -> str:
    """The last phase, or how the execution ended that did not get to one. All of them are over."""
    try:
        phase = story.release(code, role=role)
    except (TidegateError, OSError):
        phase, status = "execution FAILED", "FAILED"
    except Stopped:
        phase, status = "execution ABORTED", "ABORTED"
    else:
        status = "SUCCEEDED" if phase == "succeeded" else "FAILED"
    arns = {item.arn for item in executions(story)}
    story.world.executions.ended |= dict.fromkeys(arns, status)
    return phase


def leave_to_the_guardian(story: Story, faults: Faults) -> None:
    """What is denied is permitted again some day, and then nothing is left behind either."""
    _let_the_guardian_run(story)
    while faults.permit_all():
        _let_the_guardian_run(story)


def _let_the_guardian_run(story: Story) -> None:
    """The schedule runs the guardian until nothing is left to do, or it has had its time."""
    for _ in range(_GUARDIAN_RUNS):
        if is_settled(story):
            return
        story.world.clock.advance(_SCHEDULE_SECONDS)
        with suppress(TidegateError, Crash, Stopped):
            guard(story.machines.ports)


def is_settled(story: Story) -> bool:
    """Every release is over, and nobody has the lock or waits for it."""
    ledger, partition = story.world.ledger, application_partition("hello")
    lock = find(ledger, Lock, application="hello")
    releases = [one for one in ledger.query(partition, "RELEASE#") if isinstance(one, Release)]
    return (
        (lock is None or not lock.owner)
        and all(one.phase.over for one in releases)
        and not ledger.query(partition, "WAITER#")
    )


def executions(story: Story) -> list[Execution]:
    """Every execution that a release was planned for."""
    names = [f"execution-{number}" for number in range(1, 6)]
    found = (find(story.world.ledger, Execution, arn=name) for name in names)
    return [execution for execution in found if execution]


def the_next_release_goes_through(story: Story) -> list[str]:
    """Nothing that a fault left behind is in the way of a good release."""
    story.machines.ports = story.ports
    story.error_rates.clear()
    for target in (TEST, PROD):
        place = story.at(target)
        place.functions.code.clear()
        place.stacks.fail_next.clear()
        place.metrics.alarms["HelloErrors"] = False
    story.machines.while_baking = story.serve
    story.machines.while_waiting = lambda ref, stage: agree(story, ref)
    phase = release(story, "three", "role")
    if phase != "succeeded":
        return [f"invariant 3: the next release ends {phase}"]
    return list(warm_for_nobody(story))


def warm_for_nobody(story: Story) -> Iterator[str]:
    """After a release without a fault what serves is warm, and nothing else."""
    place = story.at(PROD)
    for ref, state in place.aliases.all().items():
        function = ref.function.removeprefix("hello-prod-")
        wanted = story.application.provisioned.get(function, 0)
        expected = {state.version: wanted} if wanted else {}
        if place.capacity.asked(ref.function) != expected:
            found = place.capacity.asked(ref.function)
            yield f"invariant 8: {ref.function} has {found} allocated, should have {expected}"


def singles(scenario: str, ways: int = 0, seed: int = 1) -> Iterator[Run]:
    """The scenario with one fault, at every call of it, in so many ways; 0: in every way."""
    dice = random.Random(f"{scenario} {seed}")
    for at, name in enumerate(perform(Run(scenario)).calls, start=1):
        faults = list(possible_faults(at, name))
        for fault in dice.sample(faults, ways) if ways else faults:
            yield Run(scenario, (fault,))


def several(scenario: str, many: int, seed: int) -> Iterator[Run]:
    """The scenario with pairs and triples of faults, as a seeded die says: far apart, or close."""
    dice = random.Random(f"{scenario} {seed}")
    calls = perform(Run(scenario)).calls
    for _ in range(many):
        first = dice.randrange(1, len(calls) + 1)
        last = len(calls) if dice.random() < _FAR else min(first + _CLOSE, len(calls))
        places = {first, *(dice.randint(first, last) for _ in range(dice.choice([1, 2])))}
        ways = (list(possible_faults(at, calls[at - 1])) for at in sorted(places))
        yield Run(scenario, tuple(map(dice.choice, ways)))


def sample(runs: Iterable[Run], many: int, seed: int) -> list[Run]:
    """So many of the runs, the same for the same seed."""
    everything = list(runs)
    return random.Random(seed).sample(everything, min(many, len(everything)))
