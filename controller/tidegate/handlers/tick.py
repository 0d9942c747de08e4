"""Look at a rollout and make its next move."""

from __future__ import annotations

from tidegate.core.workflow.rollout import shift
from tidegate.handlers.task import Answer, Call, RolloutEvent, task


@task(RolloutEvent)
def handler(call: Call[RolloutEvent]) -> Answer:
    """Look, decide, act."""
    return shift.tick(call.ports, call.event.ref)
