"""Tell people of a rollout, through the topics that its plan names."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import RolloutPhase
from tidegate.core.workflow.notify import PublishedEvent, notify
from tidegate.handlers.task import Answer, Call, Event, count, task


class Detail(BaseModel):
    """What the controller's own event says; without a phase people are asked to approve."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    application: str
    release: str
    number: int
    stage: str
    target: str = ""
    phase: RolloutPhase | None = None
    error: str = ""


class NotifyEvent(Event):
    """An event of the controller's bus."""

    detail: Detail

    @property
    def about(self) -> str:
        """The release."""
        return self.detail.release


@task(NotifyEvent)
def handler(call: Call[NotifyEvent]) -> Answer:
    """Send what is wanted and was not sent before."""
    of = call.event.detail
    told = PublishedEvent(
        release=ReleaseRef(id=of.release, application=of.application, number=of.number),
        stage=of.stage,
        target=of.target,
        phase=of.phase,
        error=of.error,
    )
    sent = notify(call.ports, told)
    if any(notification.error for notification in sent):
        count("NotificationsRefused")
    return {"notifications": [notification.model_dump(mode="json") for notification in sent]}
