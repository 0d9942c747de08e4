"""What was open when an execution was stopped is ended by whoever ends the release."""

from __future__ import annotations

import pytest

from support.story import PROD, Story
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import (
    Approval,
    Decision,
    ReleasePhase,
    Rollout,
    RolloutPhase,
    StagePhase,
)
from tidegate.core.workflow.guardian.guard import GRACE, guard
from tidegate.core.workflow.records import find
from tidegate.core.workflow.release.settle import settle_release


class Stopped(BaseException):
    """Somebody stopped the executions in the console."""


@pytest.fixture
def asking() -> Story:
    """Both executions were stopped while people were asked about prod."""
    story = Story(approval="approval: true")

    def stop(ref: ReleaseRef, stage: str) -> None:
        raise Stopped

    story.machines.while_waiting = stop
    with pytest.raises(Stopped):
        story.release("one")
    return story


def decision(story: Story) -> Decision:
    found = find(story.world.ledger, Approval, release_id="hello-1", stage="prod")
    assert found
    return found.decision


def test_a_release_that_ends_asks_nobody_any_more_and_ends_its_stage(asking: Story) -> None:
    failure = {"Error": "States.TaskFailed", "Cause": "the stage was stopped"}
    settle_release(asking.ports, "execution-1", asking.ref(1).release, failure)
    assert decision(asking) is Decision.EXPIRED
    assert asking.get_stage(1, 1, "prod").phase is StagePhase.FAILED
    assert asking.get_stage(1, 0, "test").phase is StagePhase.SUCCEEDED
    assert asking.get(1).phase.over


def test_the_guardian_asks_nobody_any_more_either(asking: Story) -> None:
    asking.world.executions.ended["execution-1"] = "ABORTED"
    guard(asking.ports)
    asking.world.clock.advance(GRACE.total_seconds())
    guard(asking.ports)
    assert decision(asking) is Decision.EXPIRED
    assert asking.get(1).phase is ReleasePhase.ABORTED
    told = [
        detail["decision"] for kind, detail in asking.world.bus.events if kind == "Approval Decided"
    ]
    assert told == ["expired"]
    assert not asking.at(PROD).aliases.all()


def test_a_release_that_the_guardian_finds_stuck_asks_nobody_any_more(asking: Story) -> None:
    at_prod = Rollout(
        release_id="hello-1",
        stage="prod",
        target=PROD,
        phase=RolloutPhase.STUCK,
        started_at=asking.world.clock.now(),
        error="AliasChangedByOthers",
        cause="somebody moved it",
    )
    asking.world.ledger.put(at_prod)
    asking.world.executions.ended["execution-1"] = "ABORTED"
    for _ in range(2):
        guard(asking.ports)
        asking.world.clock.advance(GRACE.total_seconds())
    assert asking.get(1).phase is ReleasePhase.STUCK
    assert decision(asking) is Decision.EXPIRED
    assert asking.get_stage(1, 1, "prod").phase is StagePhase.FAILED
