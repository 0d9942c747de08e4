"""End a stage."""

from __future__ import annotations

from tidegate.core.workflow.stage.settle import settle_stage
from tidegate.handlers.task import Answer, Call, Failure, StageEvent, task


class SettleStageEvent(StageEvent):
    """The stage, and what ended it if it did not succeed."""

    failure: Failure | None = None


@task(SettleStageEvent)
def handler(call: Call[SettleStageEvent]) -> Answer:
    """Settle the stage."""
    event = call.event
    failure = event.failure.model_dump() if event.failure else None
    return settle_stage(call.ports, event.release, event.stage, failure)
