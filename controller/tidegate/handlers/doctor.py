"""Look at an application's targets for what would stop or blind its next release."""

from __future__ import annotations

from tidegate.core.workflow.operator.doctor import diagnose
from tidegate.handlers.task import Answer, Call, Event, task


class DoctorEvent(Event):
    """Which application is to be looked at."""

    application: str

    @property
    def about(self) -> str:
        """The application."""
        return self.application


@task(DoctorEvent)
def handler(call: Call[DoctorEvent]) -> Answer:
    """Say what was found, good or bad."""
    findings = diagnose(call.ports, call.event.application)
    return {"findings": [finding.model_dump(mode="json") for finding in findings]}
