"""Any two of those who write a rollout meet at any call, in both orders: nobody is frightened.

The second one does all that it does right before one call of the first, at each call in its turn.
A conflict between them is no news: at the end the traffic is where it belongs, each target is
reported once and truthfully, and no message sends a person to the aliases.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

import pytest

from support.story import PROD, TEST, Story
from tidegate.core.errors import (
    NeedsOperator,
    NotAllowedNow,
    RecordConflict,
    ReleaseStopped,
    TidegateError,
)
from tidegate.core.model.record import Live, ReleasePhase, RolloutPhase
from tidegate.core.ports import Ports
from tidegate.core.workflow.guardian.guard import GRACE, guard
from tidegate.core.workflow.operator.aborts import abort
from tidegate.core.workflow.operator.controls import set_weight
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.records import again_when, find
from tidegate.core.workflow.release.lock import read_lock
from tidegate.core.workflow.release.settle import settle_release
from tidegate.core.workflow.rollout.deploy import finish
from tidegate.core.workflow.rollout.on_alarm import Alarm, on_alarm
from tidegate.core.workflow.rollout.restore import restore_traffic
from tidegate.core.workflow.rollout.shift import tick
from tidegate.core.workflow.stage.settle import settle_stage
from tidegate.core.workflow.target.context import RolloutRef
from tidegate.testing.faults import Faults
from tidegate.testing.machines import failed
from tidegate.testing.retries import Crash

ALL_ON_1 = {"Hello": ("1", {}), "Bye": ("1", {})}
ALL_ON_2 = {"Hello": ("2", {}), "Bye": ("2", {})}
EXECUTION = "execution-2"
FRIGHTENING = ("by hand", "Set the aliases", "is at version", "is not where it is safe", "conflict")


@dataclass
class Meeting:
    """A rollout under way, those who meet there, and what people hear of it."""

    story: Story
    said: list[str] = field(default_factory=list)

    def tick(self, ports: Ports) -> None:
        """As its machine does it: what fails in passing is repeated, and an error goes back."""
        ref, machines = self.story.ref(2), self.story.machines
        try:
            machines.do("Shift traffic", lambda: tick(ports, ref))
        except (ReleaseStopped, NeedsOperator) as error:
            why = failed(error)
            with suppress(NeedsOperator):  # the guardian has it
                machines.do("Restore traffic", lambda: restore_traffic(ports, ref, why))

    def finish(self, ports: Ports) -> None:
        with suppress(NeedsOperator):  # the guardian has it
            self.story.machines.do(
                "Finish the stack",
                lambda: _until_done(lambda: finish(ports, self.story.ref(2))["done"]),
            )

    def alarm(self, ports: Ports) -> None:
        on_alarm(ports, Alarm("HelloErrors", PROD, self.story.world.clock.now()))

    def abort(self, ports: Ports) -> None:
        said = abort(ports, Operator("ada"), "hello-2", "wrong prices")
        self.said.append(said)
        back = f"Its traffic is back: prod {PROD}." in said
        assert not back or self.story.serves() == ALL_ON_1
        assert "not all back" not in said
        assert said.count(f"prod {PROD}") == said.count(f"test {TEST}") == 1

    def guardian(self, ports: Ports) -> None:
        """The execution is over, and the guardian hears of it."""
        self.story.world.executions.ended[EXECUTION] = "ABORTED"
        guard(ports)

    def set_weight(self, ports: Ports) -> None:
        try:
            self.said.append(set_weight(ports, Operator("bea"), "hello-2", 0.25))
        except NotAllowedNow as refusal:
            self.said.append(str(refusal))


Writer = Callable[[Meeting, Ports], None]
WRITERS: dict[str, Writer] = {
    "tick": Meeting.tick,
    "alarm": Meeting.alarm,
    "abort": Meeting.abort,
    "guardian": Meeting.guardian,
    "set-weight": Meeting.set_weight,
    "finish": Meeting.finish,
}
PAIRS = [(first, second) for first in WRITERS for second in WRITERS]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_they_meet_at_any_call(first: str, second: str) -> None:
    at = 1
    while _meet(first, second, at):
        at += 1
    assert at > 2


def _meet(first: str, second: str, at: int) -> bool:
    """Whether the first one makes so many calls."""
    pair = {first, second}
    meeting = Meeting(copy.deepcopy(_validated() if "finish" in pair else _split()))
    story, calls = meeting.story, [0]

    def interrupt(*_: object) -> None:
        calls[0] += 1
        if calls[0] == at:
            WRITERS[second](meeting, story.ports)

    faults = Faults()
    faults.before_call.append(interrupt)
    WRITERS[first](meeting, faults.wrap(story.ports))
    if calls[0] < at:
        WRITERS[second](meeting, story.ports)
    _come_to_an_end(story)
    _judge(meeting, pair)
    return calls[0] >= at


def _judge(meeting: Meeting, pair: set[str]) -> None:
    story, phase = meeting.story, meeting.story.rollout(2).phase
    went_back = bool(pair & {"alarm", "abort", "guardian"})
    if "finish" not in pair:
        assert story.serves() == (ALL_ON_1 if went_back else ALL_ON_2)
    elif "guardian" not in pair:
        assert story.serves() == ALL_ON_2  # it is validated: too late to go back
    assert story.serves() == {
        RolloutPhase.RESTORED: ALL_ON_1,
        RolloutPhase.SUCCEEDED: ALL_ON_2,
    }.get(phase)
    assert story.get(2).phase.over
    assert read_lock(story.world.ledger, "hello").owner == ""
    live = find(story.world.ledger, Live, application="hello", stage="prod", target=PROD)
    assert live
    assert {name.split("-")[-1].split(":")[0]: v for name, v in live.versions.items()} == {
        name: version for name, (version, _) in story.serves().items()
    }
    told = [str(detail) for _, detail in story.world.bus.events]
    causes = [story.get(2).cause, story.rollout(2).cause]
    for text in (*meeting.said, *causes, *told):
        assert not [words for words in FRIGHTENING if words in text], text
    assert ("hello-2", ReleasePhase.STUCK) not in story.events("Release State Change")


def _come_to_an_end(story: Story) -> None:
    """The rollout's machine goes on; where its execution is gone, the guardian does."""
    if EXECUTION in story.world.executions.ended:
        for _ in range(6):
            story.world.clock.advance(GRACE.total_seconds())
            guard(story.ports)
        return
    failure, ref = None, story.ref(2)
    try:
        story.machines.rollout(ref)
    except TidegateError as error:
        failure = failed(error)
    settle_stage(story.ports, ref.release, "prod", failure)
    settle_release(story.ports, EXECUTION, ref.release, failure)


def _until_done(task: Callable[[], bool]) -> None:
    while not task():
        pass


@cache
def _split() -> Story:
    """At 10 % in prod, and the next tick gives more."""

    def bake(ref: RolloutRef, seconds: int) -> None:
        story.serve(ref, seconds)
        if ref.stage == "prod":
            story.world.clock.advance(120)
            raise Crash("from here on the test moves it")

    story = _live_once()
    story.machines.while_baking = bake
    with pytest.raises(Crash):
        story.release("two")
    story.machines.while_baking = story.serve
    return story


@cache
def _validated() -> Story:
    """The candidate has all traffic in prod, and its hooks have passed: it is to be finished."""
    story = _live_once()
    rollout = story.machines.rollout

    def stop(ref: RolloutRef) -> None:
        if ref.stage != "prod":
            rollout(ref)
            return
        story.machines._shift(ref)
        raise Crash("from here on the test moves it")

    story.machines.rollout = stop  # type: ignore[method-assign]
    with pytest.raises(Crash):
        story.release("two")
    del story.machines.rollout
    return story


def _live_once() -> Story:
    story = Story()
    assert story.release("one") == "succeeded"
    return story


def test_what_is_written_all_the_time_is_a_conflict_in_the_end() -> None:
    tries = []

    def conflict() -> None:
        tries.append(1)
        raise RecordConflict("written")

    with pytest.raises(RecordConflict):
        again_when(RecordConflict, conflict)
    assert len(tries) == 3
