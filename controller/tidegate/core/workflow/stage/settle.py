"""A stage ends: all its targets serve the release, or what they served before."""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.core.model.failure import root_cause
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import Stage, StagePhase
from tidegate.core.ports import Ports
from tidegate.core.workflow.events import publish_stage
from tidegate.core.workflow.records import plan_of, stage_plan
from tidegate.core.workflow.release.unfinished import expire_approval
from tidegate.core.workflow.stage.begin import find_stage, new_stage


def settle_stage(
    ports: Ports, release: ReleaseRef, stage: str, failure: Mapping[str, str] | None
) -> dict[str, str]:
    """End the stage; an approval that is still pending has expired."""
    plan = stage_plan(plan_of(ports.ledger, release.id), stage)
    expire_approval(ports, release, stage)
    item = find_stage(ports.ledger, release, plan) or new_stage(ports, release, plan)
    if item.ended_at is None:
        item = ports.ledger.put(_ended(ports, item, failure))
    publish_stage(ports.bus, release, item)
    return {"phase": item.phase}


def _ended(ports: Ports, stage: Stage, failure: Mapping[str, str] | None) -> Stage:
    why = root_cause(failure) if failure else None
    ended = {
        "phase": StagePhase.FAILED if why else StagePhase.SUCCEEDED,
        "ended_at": ports.clock.now(),
        "error": why.error if why else "",
        "cause": why.cause if why else "",
    }
    return stage.model_copy(update=ended)
