"""Find the versions that are to get the traffic."""

from __future__ import annotations

from tidegate.core.workflow.rollout import deploy
from tidegate.handlers.task import Answer, Call, RolloutEvent, task


@task(RolloutEvent)
def handler(call: Call[RolloutEvent]) -> Answer:
    """Find the candidates and name the hooks."""
    return deploy.find_candidates(call.ports, call.event.ref)
