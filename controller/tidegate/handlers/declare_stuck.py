"""Say that a rollout needs a person."""

from __future__ import annotations

from tidegate.core.workflow.rollout import restore
from tidegate.handlers.task import Answer, Call, Failure, RolloutEvent, count, task


class DeclareStuckEvent(RolloutEvent):
    """The rollout, and what could not be done."""

    failure: Failure


@task(DeclareStuckEvent)
def handler(call: Call[DeclareStuckEvent]) -> Answer:
    """Record that the rollout is stuck and count it."""
    restore.declare_stuck(call.ports, call.event.ref, call.event.failure.model_dump())
    count("RolloutsStuck", stage=call.event.stage)
    return {}
