"""What the fault campaign has found, each told as the story that it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from support.story import CANARY, PROD, Story
from tidegate.core.errors import AliasConflict, FinishFailed, ServiceRefused, ServiceUnavailable
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import ReleasePhase, RolloutPhase
from tidegate.core.workflow.guardian.guard import guard
from tidegate.core.workflow.release.plan import plan_release
from tidegate.core.workflow.release.settle import settle_release
from tidegate.core.workflow.rollout.deploy import deploy
from tidegate.core.workflow.rollout.restore import restore_traffic
from tidegate.core.workflow.target.context import RolloutRef
from tidegate.testing.functions import MemoryAliases

ALL_ON_1 = {"Hello": ("1", {}), "Bye": ("1", {})}
ALL_ON_2 = {"Hello": ("2", {}), "Bye": ("2", {})}
FAILURE = {"Error": "Unhealthy", "Cause": "too many errors"}


@pytest.fixture
def live() -> Story:
    """One stage, a canary, and the first release is live."""
    story = Story(CANARY)
    assert story.release("one") == "succeeded"
    return story


def test_weight_that_was_on_its_way_does_not_arrive_after_the_restore(live: Story) -> None:
    aliases = live.at(PROD).aliases
    write, read = MemoryAliases.write, MemoryAliases.read
    on_its_way: list[Callable[[], Any]] = []

    def lose(ref: Any, **wanted: Any) -> Any:
        on_its_way.append(lambda: write(aliases, ref, **wanted))
        aliases.write = write.__get__(aliases)
        aliases.read = refuse
        raise ServiceUnavailable("It did not answer.")

    def refuse(ref: Any) -> Any:
        aliases.read = read.__get__(aliases)
        raise ServiceRefused("Not now.")

    aliases.write = lose
    assert live.release("two") == "failed"
    (arrive,) = on_its_way
    with pytest.raises(AliasConflict):
        arrive()
    assert live.serves() == ALL_ON_1


def test_release_is_not_stuck_before_it_has_said_so(live: Story) -> None:
    live.at(PROD).stacks.fail_next += ["", "no room"]
    live.at(PROD).stacks.refuse_rollback = True
    settled = live.machines.ports
    told: list[str] = []

    class DeafBus:
        def publish(self, detail_type: str, detail: Any) -> None:
            if detail["phase"] == ReleasePhase.STUCK and detail_type.startswith("Release"):
                told.append(detail["release"])
                raise ServiceRefused("Nobody may publish.")

    live.machines.ports = dataclasses.replace(settled, bus=DeafBus())
    with pytest.raises(ServiceRefused):
        live.release("two")
    assert set(told) == {"hello-2"}
    assert not live.get(2).phase.over
    ref = ReleaseRef(id="hello-2", application="hello", number=2)
    assert settle_release(live.ports, "execution-2", ref, FAILURE) == {"phase": "stuck"}
    assert ("hello-2", "stuck") in live.events("Release State Change")


def test_release_that_was_stopped_before_it_queued_is_ended_by_the_guardian(live: Story) -> None:
    plan_release(live.ports, live.application.build("two"), live.next_execution())
    live.world.executions.ended["execution-2"] = "ABORTED"
    live.world.clock.advance(600)
    guard(live.ports)
    assert live.get(2).phase is ReleasePhase.ABORTED
    assert live.release("three") == "succeeded"


def stop_when(live: Story, phase: RolloutPhase) -> RolloutRef:
    """The second release is left in this phase."""

    def stop(task: Callable[[], Any]) -> Any:
        answer = task()
        if live.items(2, "ROLLOUT#") and live.rollout(2).phase is phase:
            raise KeyboardInterrupt
        return answer

    live.machines.invoke = stop
    with pytest.raises(KeyboardInterrupt):
        live.release("two")
    return live.ref(2)


def test_validated_candidate_keeps_its_traffic_whoever_restores(live: Story) -> None:
    ref = stop_when(live, RolloutPhase.FINISHING)
    with pytest.raises(FinishFailed, match="keeps all traffic"):
        restore_traffic(live.ports, ref, FAILURE)
    assert live.serves() == ALL_ON_2


def test_fresh_execution_does_not_judge_the_deployment_again(live: Story) -> None:
    ref = stop_when(live, RolloutPhase.SHIFTING)
    live.at(PROD).stacks.overtake("hello-prod", "UPDATE_ROLLBACK_FAILED", "somebody's update")
    assert deploy(live.ports, ref) == {"done": True}


def test_rollout_goes_on_in_fresh_executions_until_it_is_promoted(live: Story) -> None:
    live.machines.evaluations = 1
    assert live.release("two") == "succeeded"
    assert live.serves() == ALL_ON_2
