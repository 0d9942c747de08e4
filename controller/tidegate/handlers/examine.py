"""Look at an application's targets for what would stop or blind its next release."""

from __future__ import annotations

from tidegate.core.workflow.examine import examine
from tidegate.handlers.task import Answer, Call, Event, task


class ExamineEvent(Event):
    """Which application is to be looked at."""

    application: str

    @property
    def about(self) -> str:
        """The application."""
        return self.application


@task(ExamineEvent)
def handler(call: Call[ExamineEvent]) -> Answer:
    """Say what was found, good or bad."""
    findings = examine(call.ports, call.event.application)
    return {"findings": [finding.model_dump(mode="json") for finding in findings]}
