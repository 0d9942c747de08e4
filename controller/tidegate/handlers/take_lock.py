"""Take the application's lock, or say who has it."""

from __future__ import annotations

from tidegate.core.workflow.release import lock
from tidegate.handlers.task import Answer, Call, ReleaseEvent, task


class TakeLockEvent(ReleaseEvent):
    """The release, and the execution that is to own the lock."""

    execution: str


@task(TakeLockEvent)
def handler(call: Call[TakeLockEvent]) -> Answer:
    """Take the lock for this execution."""
    return lock.take_lock(call.ports, call.event.release, call.event.execution)
