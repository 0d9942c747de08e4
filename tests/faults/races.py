"""Several actors at once: releases, operators, and tasks that Lambda runs twice.

Only one of them moves at a time, and they change places at calls: a seed tells the whole story.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from faults.invariants import Witness
from faults.runs import Report, Run, executions, leave_to_the_guardian, report
from faults.scenarios import BEA, CY, Scenario, ask, canary, good, ring, two_stages, unhealthy
from support.story import Story
from tidegate.core.errors import TidegateError
from tidegate.core.workflow.operator.aborts import abort
from tidegate.core.workflow.operator.approvals import approve, reject
from tidegate.core.workflow.operator.requests import Operator
from tidegate.testing.faults import Fault, Faults, Way, possible_faults
from tidegate.testing.machines import Machines
from tidegate.testing.turns import Turns

Actor = Callable[[], Any]
Cast = Callable[[Story, Faults, Turns, random.Random], list[Actor]]

_FAILED: Final = "FAILED"
_IDLE_CALLS: Final = 30
_WAITING_CALLS: Final = 400


def two_releases(story: Story, faults: Faults, turns: Turns, dice: random.Random) -> list[Actor]:
    """A newer release is started while one is under way."""
    return [_release(story, faults, code) for code in ("two", "three")]


def three_releases(story: Story, faults: Faults, turns: Turns, dice: random.Random) -> list[Actor]:
    """Two newer releases are started while one is under way."""
    return [_release(story, faults, code) for code in ("two", "three", "four")]


def an_abort(story: Story, faults: Faults, turns: Turns, dice: random.Random) -> list[Actor]:
    """An operator aborts at some time, and again."""

    def operator() -> None:
        for _ in range(2):
            _idle(turns, dice.randrange(_IDLE_CALLS * 4))
            ask(lambda: abort(faults.wrap(story.ports), BEA, "hello-2", "wrong version"))

    return [_release(story, faults, "two"), operator]


def an_alarm(story: Story, faults: Faults, turns: Turns, dice: random.Random) -> list[Actor]:
    """An alarm fires at some time, is told twice, and an operator aborts at about that time."""

    def bell() -> None:
        _idle(turns, dice.randrange(_IDLE_CALLS * 10))
        ring(story, faults.wrap(story.ports))

    def operator() -> None:
        _idle(turns, dice.randrange(_IDLE_CALLS * 10))
        ask(lambda: abort(faults.wrap(story.ports), BEA, "hello-2", "an alarm fires"))

    return [_release(story, faults, "two"), bell, bell, operator]


def a_crowd_of_approvers(
    story: Story, faults: Faults, turns: Turns, dice: random.Random
) -> list[Actor]:
    """People approve, reject and abort at the same time, more than once each."""
    story.machines.while_waiting = lambda ref, stage: _idle(turns, _WAITING_CALLS)
    verbs: list[Callable[[Any, Operator], object]] = [
        lambda ports, who: approve(ports, who, "hello-2"),
        lambda ports, who: approve(ports, who, "hello-2"),
        lambda ports, who: approve(ports, who, "hello-2"),
        lambda ports, who: reject(ports, who, "hello-2", "not before Monday"),
        lambda ports, who: abort(ports, who, "hello-2"),
    ]

    def person(who: Operator) -> Actor:
        def act() -> None:
            for _ in range(6):
                _idle(turns, dice.randrange(_IDLE_CALLS * 3))
                verb = dice.choice(verbs)
                ask(lambda verb=verb: verb(faults.wrap(story.ports), who))

        return act

    return [_release(story, faults, "two"), *map(person, (BEA, CY, Operator("dan")))]


def tasks_that_run_twice(
    story: Story, faults: Faults, turns: Turns, dice: random.Random
) -> list[Actor]:
    """Lambda runs some invocations twice at the same time; either answer may count."""

    def invoke(task: Actor) -> Any:
        if dice.random() > 0.3:
            return task()
        return dice.choice(turns.together(task, task)).outcome()

    return [_release(story, faults, "two", invoke)]


CASTS: Final[Mapping[str, Cast]] = {
    cast.__name__.replace("_", "-"): cast
    for cast in (
        two_releases,
        three_releases,
        an_abort,
        an_alarm,
        a_crowd_of_approvers,
        tasks_that_run_twice,
    )
}
_STAGES: Final[Mapping[str, Scenario]] = {
    "canary": Scenario(canary, good),
    "canary-unhealthy": Scenario(canary, unhealthy),
    "two-stages": Scenario(two_stages, good),
}
_OF_TWO_STAGES: Final = {"a-crowd-of-approvers", "an-alarm"}  # which ask people, and have alarms
RACES: Final = tuple(
    f"{cast}/{stage}"
    for cast in CASTS
    for stage in _STAGES
    if cast not in _OF_TWO_STAGES or stage == "two-stages"
)


def race(name: str, seed: int) -> Report:
    """Play one race; every third has a fault as well."""
    cast, _, stage = name.partition("/")
    dice, turns = random.Random(f"{name} {seed}"), Turns(seed)
    scenario = _STAGES[stage]
    story = scenario.story()
    witness = Witness(story, scenario.targets)
    witness.alone = False
    at = dice.randrange(1, 300)
    chosen = [_any_fault(dice, at)] if seed % 3 == 0 else []
    faults = Faults(chosen, story.world.clock)
    faults.before_call += [witness.hear, turns.give_way]
    actors = CASTS[cast](story, faults, turns, dice)
    ended = turns.together(*actors)
    faults.deliver_all()
    phases = [str(actor.outcome()) for actor in ended if actor.outcome() is not None]
    arns = {item.arn for item in executions(story)}
    story.world.executions.ended |= dict.fromkeys(arns, _FAILED)
    leave_to_the_guardian(story, faults)
    run = Run(f"{name}/{seed}", tuple(chosen))
    return report(run, story, witness, faults, " ".join(phases))


def _release(
    story: Story, faults: Faults, code: str, invoke: Callable[[Actor], Any] | None = None
) -> Actor:
    """An execution of the release machine, with a machine of its own."""
    machines = Machines(
        story.world,
        faults.wrap(story.ports),
        while_waiting=story.machines.while_waiting,
        while_baking=story.serve,
        polls=3000,
    )
    if invoke:
        machines.invoke = invoke
    artifact = story.application.build(code)
    execution = story.next_execution()

    def act() -> str:
        try:
            return machines.release(artifact, execution)
        except (TidegateError, OSError):
            return _FAILED

    return act


def _idle(turns: Turns, calls: int) -> None:
    for _ in range(calls):
        turns.give_way()


def _any_fault(dice: random.Random, at: int) -> Fault:
    """A fault for a call whose name nobody knows yet: one that may befall any of them."""
    some = [fault for fault in possible_faults(at, "ledger.get") if fault.way is not Way.STOPPED]
    return dice.choice(some)
