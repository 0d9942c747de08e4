"""Deploy the stack with its aliases held."""

from __future__ import annotations

from tidegate.core.workflow import deploy
from tidegate.handlers.task import Answer, Call, RolloutEvent, task


@task(RolloutEvent)
def handler(call: Call[RolloutEvent]) -> Answer:
    """Execute the change set, or say how far it is."""
    return deploy.deploy(call.ports, call.event.ref)
