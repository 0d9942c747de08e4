"""End a release and let the next one in."""

from __future__ import annotations

from tidegate.core.model.plan import ReleaseRef
from tidegate.core.workflow.release.settle import settle_release
from tidegate.handlers.task import Answer, Call, Event, Failure, count, task


class SettleReleaseEvent(Event):
    """The execution, its release if it was planned, and what ended it if it did not succeed."""

    execution: str
    release: ReleaseRef | None = None
    failure: Failure | None = None

    @property
    def about(self) -> str:
        """The release, or the execution that never had one."""
        return self.release.id if self.release else self.execution


@task(SettleReleaseEvent)
def handler(call: Call[SettleReleaseEvent]) -> Answer:
    """Settle the release and count how it ended."""
    event = call.event
    failure = event.failure.model_dump() if event.failure else None
    settled = settle_release(call.ports, event.execution, event.release, failure)
    count("ReleasesEnded", phase=settled["phase"])
    return settled
