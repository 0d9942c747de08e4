"""Put all traffic back on the stable version."""

from __future__ import annotations

from tidegate.core.workflow.rollout import restore
from tidegate.handlers.task import Answer, Call, Failure, RolloutEvent, count, task


class RestoreTrafficEvent(RolloutEvent):
    """The rollout, and why it goes back."""

    failure: Failure


@task(RestoreTrafficEvent)
def handler(call: Call[RestoreTrafficEvent]) -> Answer:
    """Restore the traffic and count it."""
    restore.restore_traffic(call.ports, call.event.ref, call.event.failure.model_dump())
    count("RolloutsRestored", stage=call.event.stage)
    return {}
