"""Ask people to approve a stage."""

from __future__ import annotations

from pydantic import Field

from tidegate.core.workflow.stage.approval import request_approval
from tidegate.handlers.task import Answer, Call, StageEvent, task


class RequestApprovalEvent(StageEvent):
    """The stage, and the task token that waits for the decision."""

    token: str = Field(repr=False)


@task(RequestApprovalEvent)
def handler(call: Call[RequestApprovalEvent]) -> Answer:
    """Record the request and keep its token."""
    event = call.event
    request_approval(call.ports, event.release, event.stage, event.token)
    return {}
