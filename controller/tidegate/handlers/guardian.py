"""Make traffic safe where an execution ended before its work did."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from tidegate.core.workflow import guard
from tidegate.handlers.task import Answer, Call, Event, count, task


class EndedExecution(BaseModel):
    """What Step Functions tells of an execution that is over; nothing when the schedule calls."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    execution: str = Field(default="", alias="executionArn")
    status: str = ""


class GuardianEvent(Event):
    """An event of Step Functions, or of the schedule."""

    detail: EndedExecution = EndedExecution()

    @property
    def about(self) -> str:
        """The execution that ended, if one did."""
        return self.detail.execution


@task(GuardianEvent)
def handler(call: Call[GuardianEvent]) -> Answer:
    """Look at every lock and rollout once, and count what had to be done."""
    detail = call.event.detail
    ended = {detail.execution: detail.status} if detail.execution else {}
    guarded = guard.guard(call.ports, ended)
    if guarded["secured"]:
        count("RolloutsGuarded")
    return guarded
