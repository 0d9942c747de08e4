"""What CloudFormation took back or could not delete is begun again: it may pass in ten minutes."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from tidegate.core.model.record import Rollout
from tidegate.core.model.stack_status import TAKEN_BACK
from tidegate.core.ports import StackState
from tidegate.core.workflow.target.context import RolloutContext

PAUSES: Final = tuple(timedelta(seconds=seconds) for seconds in (30, 60, 120, 240, 300))
"""How long to wait before each new attempt, after CloudFormation has failed at the one before."""


def may_pass(rollout: Rollout, state: StackState) -> bool:
    """Whether it is to be begun again, now or later."""
    failed = state.status in TAKEN_BACK or state.status == "DELETE_FAILED"
    return failed and rollout.retries < len(PAUSES)


def when_due(context: RolloutContext, rollout: Rollout) -> Rollout | None:
    """The rollout, once it may begin its next attempt; None while that is to wait."""
    now = context.ports.clock.now()
    if rollout.retry_at is None:
        context.note(rollout, retry_at=now + PAUSES[rollout.retries])
        return None
    if now < rollout.retry_at:
        return None
    return context.note(rollout, retries=rollout.retries + 1, retry_at=None)
