"""Number a release and make its plan."""

from __future__ import annotations

from tidegate.core.approval.identity import identify
from tidegate.core.model.plan import ArtifactRef
from tidegate.core.workflow.release.artifacts import check_place
from tidegate.core.workflow.release.plan import plan_release
from tidegate.handlers.task import Answer, Call, Event, task


class PlanEvent(Event):
    """The input of the execution, and its ARN."""

    artifact: ArtifactRef
    execution: str


@task(PlanEvent)
def handler(call: Call[PlanEvent]) -> Answer:
    """Plan the release of this artifact."""
    check_place(call.event.artifact, identify(call.context.invoked_function_arn).account)
    return plan_release(call.ports, call.event.artifact, call.event.execution)
