"""Wait while a weight bakes."""

from __future__ import annotations

from pydantic import Field

from tidegate.core.workflow.rollout import shift
from tidegate.handlers.task import Answer, Call, RolloutEvent, task


class BakeEvent(RolloutEvent):
    """The rollout, and the task token that ends the bake early."""

    token: str = Field(repr=False)


@task(BakeEvent)
def handler(call: Call[BakeEvent]) -> Answer:
    """Keep the token; silence is the normal end of a bake."""
    shift.bake(call.ports, call.event.ref, call.event.token)
    return {}
