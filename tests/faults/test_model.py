"""A model of everything at once: releases, people, alarms, faults, the guardian, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from faults.invariants import Witness
from faults.scenarios import BEA, CY, ask, ring, two_stages
from support.story import PROD, TEST
from tidegate.core.errors import RestoreFailed, TidegateError
from tidegate.core.workflow.guardian.guard import guard
from tidegate.core.workflow.operator.aborts import abort
from tidegate.core.workflow.operator.approvals import approve, reject
from tidegate.core.workflow.operator.controls import pause, promote, resume
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.operator.traffic_rollback import rollback_now
from tidegate.testing.faults import Faults, Way
from tidegate.testing.machines import Machines
from tidegate.testing.turns import RateLimit

EXAMPLES, STEPS = 110, 50
IDLE_CALLS = 150
TO_THE_END = 100_000

people = st.sampled_from([BEA, CY, Operator("dan")])
any_release = st.integers(0, 5)


@dataclass
class Running:
    """One execution of the release machine, a few calls at a time."""

    arn: str
    rate_limit: RateLimit
    faults: Faults


class World(RuleBasedStateMachine):
    """The first release is live in test and prod. From there on anything may happen."""

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.story = two_stages()
        self.witness = Witness(self.story, (TEST, PROD))
        self.witness.alone = False
        self.running: list[Running] = []
        self.started = 1

    # ---------------------------------------------------------------- releases and their faults

    @rule(bad=st.booleans())
    def release(self, bad: bool) -> None:
        """Somebody pushes; every release is of other code."""
        if sum(not one.rate_limit.over for one in self.running) >= 3:
            return
        self.started += 1
        self.story.error_rates[str(self.started)] = 0.9 if bad else 0.0
        rate_limit, faults = RateLimit(), Faults(clock=self.story.world.clock)
        faults.before_call += [rate_limit.rest, self.witness.hear]
        machines = Machines(
            self.story.world,
            faults.wrap(self.story.ports),
            while_waiting=lambda ref, stage: self._wait(rate_limit),
            while_baking=self.story.serve,
            polls=300,
            evaluations=5,
        )
        artifact = self.story.application.build(f"code {self.started}")
        arn = self.story.next_execution()

        def act() -> None:
            try:
                machines.release(artifact, arn)
            except (TidegateError, OSError):
                self.story.world.executions.ended[arn] = "FAILED"
            else:
                self.story.world.executions.ended[arn] = "SUCCEEDED"

        rate_limit.start(act)
        self.running.append(Running(arn, rate_limit, faults))

    def _wait(self, rate_limit: RateLimit) -> None:
        for _ in range(IDLE_CALLS):
            rate_limit.rest()

    @rule(which=any_release, calls=st.integers(1, 60))
    def go_on(self, which: int, calls: int) -> None:
        """One of the executions makes some calls."""
        if self.running:
            self.running[which % len(self.running)].rate_limit.go_on(calls)

    @rule(
        which=any_release,
        fault=st.sampled_from(
            [
                (Way.RAISES, "ServiceUnavailable", 0),
                (Way.RAISES, "ServiceRefused", 0),
                (Way.THROTTLED, "", 3),
                (Way.THROTTLED, "", 60),
                (Way.LATE, "", 4),
                (Way.LATE, "", 30),
                (Way.SLOW, "", 600),
                *((way, "", 0) for way in Way if way.startswith(("lost", "killed", "twice"))),
            ]
        ),
    )
    def befall(self, which: int, fault: tuple[Way, str, int]) -> None:
        """The next call of one of them goes wrong."""
        if self.running:
            way, error, much = fault
            self.running[which % len(self.running)].faults.befall_next(way, error=error, much=much)

    @rule(which=any_release)
    def stop_by_hand(self, which: int) -> None:
        """Somebody stops an execution in the console."""
        if self.running:
            one = self.running[which % len(self.running)]
            if not one.rate_limit.over:
                one.rate_limit.stop()
                self.story.world.executions.ended[one.arn] = "ABORTED"

    # ---------------------------------------------------------------- people, world, guardian

    @rule(who=people, verb=st.sampled_from([approve, approve, reject, abort]), which=any_release)
    def decide(self, who: Operator, verb: Any, which: int) -> None:
        """A person says something to a release."""
        reason = "because" if verb is reject else ""
        number = 2 + which % max(1, self.started - 1)
        ask(lambda: verb(self.story.ports, who, f"hello-{number}", reason=reason))

    @rule(
        who=people,
        verb=st.sampled_from([pause, resume, promote, partial(promote, full=True), rollback_now]),
        which=any_release,
    )
    def steer(self, who: Operator, verb: Any, which: int) -> None:
        """A person steers a release, or takes the traffic of a live one back."""
        number = 2 + which % max(1, self.started - 1)
        ask(lambda: verb(self.story.ports, who, f"hello-{number}", reason="because"))

    @rule(firing=st.booleans())
    def alarm(self, firing: bool) -> None:
        """The alarm of prod fires, or recovers; nobody is told."""
        self.story.at(PROD).metrics.alarms["HelloErrors"] = firing

    @rule(
        fault=st.sampled_from([None, *(way for way in Way if way.startswith(("lost", "killed")))])
    )
    def alarm_rings(self, fault: Way | None) -> None:
        """The alarm of prod fires, and its event is heard; one of the first calls may go wrong."""
        faults = Faults(clock=self.story.world.clock)
        if fault:
            faults.befall_next(fault)
        ring(self.story, faults.wrap(self.story.ports))

    @rule(place=st.sampled_from([TEST, PROD]))
    def stack_will_fail(self, place: str) -> None:
        """CloudFormation fails at the next operation."""
        self.story.at(place).stacks.fail_next.append("no room")

    @rule(seconds=st.sampled_from([-600, -1, 30, 600, 7200]))
    def clock(self, seconds: int) -> None:
        """Time passes, or the clock is set."""
        self.story.world.clock.advance(seconds)

    @rule()
    def guardian(self) -> None:
        """The schedule runs the guardian."""
        self.story.world.clock.advance(60)
        try:
            guard(self.story.ports)
        except RestoreFailed:
            return

    # ---------------------------------------------------------------- what always holds

    @invariant()
    def nothing_is_broken(self) -> None:
        """What the witness sees at each call."""
        World.steps += 1
        assert not self.witness.broken, self.witness.broken

    def teardown(self) -> None:
        """Everybody comes to an end, the guardian looks after what is left, and all is judged."""
        for one in self.running:
            one.rate_limit.go_on(TO_THE_END)
            one.faults.deliver_all()
        for _ in range(6):
            self.guardian()
        assert not self.witness.judge(), self.witness.broken


def test_whatever_happens_the_invariants_hold() -> None:
    World.steps = 0
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert World.steps >= 5_000
