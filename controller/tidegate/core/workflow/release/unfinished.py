"""Ends what is still open when the execution that should have ended it is gone."""

from __future__ import annotations

from tidegate.core.model.failure import Failure
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import Approval, Decision, Stage, StagePhase, release_partition
from tidegate.core.ports import Ports
from tidegate.core.workflow.events import publish_approval_decided, publish_stage
from tidegate.core.workflow.records import find


def end_stages(ports: Ports, ref: ReleaseRef, why: Failure) -> None:
    """Every stage of the release that has begun is over, and nobody is asked any more."""
    asked = ports.ledger.query(release_partition(ref.id), "APPROVAL#")
    for stage in [item.stage for item in asked if isinstance(item, Approval)]:
        expire_approval(ports, ref, stage)
    for item in ports.ledger.query(release_partition(ref.id), "STAGE#"):
        if isinstance(item, Stage) and item.ended_at is None:
            ended = {
                "phase": StagePhase.FAILED,
                "ended_at": ports.clock.now(),
                "error": why.error,
                "cause": why.cause,
            }
            publish_stage(ports.bus, ref, ports.ledger.put(item.model_copy(update=ended)))


def expire_approval(ports: Ports, release: ReleaseRef, stage: str) -> None:
    """An approval that nobody has decided on has expired; a decision stays."""
    approval = find(ports.ledger, Approval, release_id=release.id, stage=stage)
    if approval and approval.decision is Decision.PENDING:
        expired = ports.ledger.put(approval.model_copy(update={"decision": Decision.EXPIRED}))
        publish_approval_decided(ports.bus, release, expired)
