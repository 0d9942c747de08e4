"""Warm the candidates before they are validated."""

from __future__ import annotations

from tidegate.core.workflow.rollout import warm
from tidegate.handlers.task import Answer, Call, RolloutEvent, task


@task(RolloutEvent)
def handler(call: Call[RolloutEvent]) -> Answer:
    """Allocate what the candidates need, or say how far it is."""
    return warm.warm_candidates(call.ports, call.event.ref)
