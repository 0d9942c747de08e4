"""Take the stack back to the last good artifact."""

from __future__ import annotations

from tidegate.core.workflow.rollout import restore
from tidegate.handlers.task import Answer, Call, RolloutEvent, task


@task(RolloutEvent)
def handler(call: Call[RolloutEvent]) -> Answer:
    """Restore the stack, or say how far it is."""
    return restore.restore_stack(call.ports, call.event.ref)
