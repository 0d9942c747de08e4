"""Delete versions that nobody needs: where a rollout has succeeded, or where a person asks."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from tidegate.core.workflow.operator.prune import prune
from tidegate.handlers.task import Answer, Call, Event, task


class Where(BaseModel):
    """The rollout that the controller's own event tells of."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    application: str = ""
    stage: str = ""
    target: str = ""


class PruneEvent(Event):
    """An event of the controller's bus, or what a person asks for."""

    detail: Where = Where()
    application: str = ""
    dry_run: bool = False

    @property
    def about(self) -> str:
        """The application."""
        return self.application or self.detail.application


@task(PruneEvent)
def handler(call: Call[PruneEvent]) -> Answer:
    """Delete, or only say what would be deleted."""
    event, where = call.event, call.event.detail
    prunings = prune(
        call.ports, event.about, dry_run=event.dry_run, stage=where.stage, target=where.target
    )
    return {"prunings": [pruning.model_dump(mode="json") for pruning in prunings]}
