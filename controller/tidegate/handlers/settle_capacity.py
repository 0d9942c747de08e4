"""Keep warm what serves, and nothing else."""

from __future__ import annotations

from tidegate.core.workflow.rollout import warm
from tidegate.handlers.task import Answer, Call, RolloutEvent, task


@task(RolloutEvent)
def handler(call: Call[RolloutEvent]) -> Answer:
    """Release the provisioned concurrency that nothing needs any more."""
    warm.settle_capacity(call.ports, call.event.ref)
    return {}
