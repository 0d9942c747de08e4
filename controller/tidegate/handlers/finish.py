"""Take the pin off the stack."""

from __future__ import annotations

from tidegate.core.workflow.rollout import deploy
from tidegate.handlers.task import Answer, Call, RolloutEvent, task


@task(RolloutEvent)
def handler(call: Call[RolloutEvent]) -> Answer:
    """Unpin the stack, or say how far it is."""
    return deploy.finish(call.ports, call.event.ref)
