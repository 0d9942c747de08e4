"""Enter a stage."""

from __future__ import annotations

from tidegate.core.workflow.stage.begin import begin_stage
from tidegate.handlers.task import Answer, Call, StageEvent, task


@task(StageEvent)
def handler(call: Call[StageEvent]) -> Answer:
    """Enter the stage and say which targets it has."""
    return begin_stage(call.ports, call.event.release, call.event.stage)
