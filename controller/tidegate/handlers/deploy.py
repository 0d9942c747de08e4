"""Deploy the stack with its aliases held."""

from __future__ import annotations

from tidegate.core.workflow.rollout import deploy
from tidegate.handlers.task import Answer, Call, RolloutEvent, task


class DeployEvent(RolloutEvent):
    """The rollout, and the execution that carries it."""

    execution: str = ""


@task(DeployEvent)
def handler(call: Call[DeployEvent]) -> Answer:
    """Execute the change set, or say how far it is."""
    return deploy.deploy(call.ports, call.event.ref, call.event.execution)
