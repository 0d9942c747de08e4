"""Say which targets have something to deploy, and whether people must agree."""

from __future__ import annotations

from tidegate.core.workflow.stage.approval import review
from tidegate.handlers.task import Answer, Call, StageEvent, task


@task(StageEvent)
def handler(call: Call[StageEvent]) -> Answer:
    """Review the stage's previews."""
    return review(call.ports, call.event.release, call.event.stage)
