"""Compute what would change at one target."""

from __future__ import annotations

from tidegate.core.workflow.stage.preview import preview
from tidegate.handlers.task import Answer, Call, RolloutEvent, task


@task(RolloutEvent)
def handler(call: Call[RolloutEvent]) -> Answer:
    """Make the change set, or say that it is not ready."""
    event = call.event
    return preview(call.ports, event.release, event.stage, event.target)
